"""What does latent space look like around a datum, and what does the model make of each point there?

On a plane u = origin + a · e₁ + b · e₂ of the latents' unconstrained coordinates, at a lattice of (a, b):

    log p(x, u),  log p(u),  log q(u | x),  E[x | T(u)]

with draws of q and of Markov chains where they fall upon it. Up to two latents the plane is all there is; of more it
goes through the posterior, along the directions in which posterior and q differ most.

    frame.py    a plane
    result.py   Exploration, and its View of each chosen datum

Read frame.py first, then result.py. Imports: audit, mcmc, evaluation, target, programs, estimate.
"""
