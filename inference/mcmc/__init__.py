"""What is p(z | x)? Markov chains for every datum at once, as one tensor program on [chains, data].

A chain of datum b moves in unconstrained coordinates u, z = T(u), and leaves its posterior as it is:

    p(u | x_b) ∝ p(x_b, T(u)) |det dT/du|.

    hmc.py              `hmc`: warm-up, then draws, chunk by chunk
    warmup.py           search, adapt, then freeze everything that the moves depend on
      search.py, population.py                  weighted points of the posterior
      expedition.py, path.py                    modes that the guide does not know: particles tempered from the prior
      mixture.py, how_many.py                   what is fitted to points
      metric.py, step_size.py, trajectory.py    scale, ε and length of the trajectories
      rounding.py                               why a last digit that differs does not change the draws
    sampling.py         draws as pure stretches (state, random numbers) -> (states, info)
      moves.py            when each datum makes an HMC move, and how often it jumps
      transition.py, leapfrog.py                HMC: a trajectory, accepted or not
      jumps.py            independence moves to draws of the mixture
    draws.py            `Draws`, what every sampler returns
    convergence.py      may they be believed? With rhat.py and effective_size.py
    float_limits.py     draws at the limits of floating-point numbers
    nuts.py             `nuts`: Pyro's own, one datum at a time, as a reference

Read sampling.py first, then transition.py and jumps.py. Imports: evaluation, target, programs, and the type of
estimate; never an estimator.
"""

from elbowroom.inference.mcmc.hmc import hmc

__all__ = ["hmc"]
