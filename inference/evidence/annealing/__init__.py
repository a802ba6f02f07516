"""What is log p(x), along a path from q or the prior to the posterior? AIS, its reverse, tempered SMC.

    f_β ∝ start^(1−β) joint^β,   0 = β_0 < … < β_T = 1,   start: the guide or the prior,
    log w = Σ_t (β_t − β_{t−1}) (log joint − log start)(z_{t−1}),   E[w] = p(x)

Chains make an HMC transition at each β between. Kernels and temperatures are tuned on pilot chains and then frozen,
which is what makes log mean w a lower bound in expectation. Chains that go back from exact posterior draws give an
upper one.

    ais.py           anneal: forward chains, with thermodynamic integration of the same chains
    reverse.py       anneal_reverse and bidirectional: from posterior draws back to the start
    smc.py           smc: chains that are resampled where their weights have spread
    schedule.py      the temperatures
    tuning.py        pilot chains: step sizes, scales and temperatures, frozen
    walk.py          chains along a frozen path, and the weights that they collect
    settings.py      the arguments of all four calls, checked
    blocks.py        the data in blocks that fit in the byte budget, each with its frozen kernels
    randomness.py    which random numbers belong to which chain and transition
    results.py       from weights to an Estimate with its flags

Read mcmc/path.py (both ends of the path, and one transition on it), walk.py, then ais.py. Imports: mcmc, evaluation,
target, programs, weights, estimate.
"""

from elbowroom.inference.evidence.annealing.ais import anneal
from elbowroom.inference.evidence.annealing.reverse import Bidirectional, anneal_reverse, bidirectional
from elbowroom.inference.evidence.annealing.smc import smc

__all__ = ["Bidirectional", "anneal", "anneal_reverse", "bidirectional", "smc"]
