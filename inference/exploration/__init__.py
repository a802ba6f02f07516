"""What does latent space look like around a datum, and what does the model make of each point there?

On a plane u = origin + a · e₁ + b · e₂ of the latents' unconstrained coordinates, at a lattice of (a, b):

    log p(x, u),  log p(u),  log q(u | x),  E[x | T(u)]

with draws of q and of Markov chains where they fall upon it. Up to two latents the plane is all there is; of more it
goes through the posterior, along the directions in which posterior and q differ most.

    explore.py    the call
    result.py     Exploration, and its View of each chosen datum
    looking.py    around some of the data at once
    columns.py    what an audit knows of each datum
    overview.py   the map of all data
    central.py    which codes are far outside of the others
    frame.py      a plane
    planes.py     which plane is looked at, and how much of it
    windows.py    … until it holds the posterior's mass
    surfaces.py   densities on it
    decoding.py   what the model makes of it
    shared.py     … for all data alike
    draws.py      draws of q and of chains
    modes.py      where they lead uphill

Read result.py first, then looking.py. Imports: audit, diagnostics, evidence, mcmc, evaluation, target, programs,
estimate.
"""

from elbowroom.inference.exploration.explore import explore
from elbowroom.inference.exploration.result import Exploration

__all__ = ["Exploration", "explore"]
