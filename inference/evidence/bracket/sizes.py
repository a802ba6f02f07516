"""How large each step of a bracket is in the first round, and how it grows with effort."""

import math

GROWTH = 4
"""Each round of effort multiplies draws, weighed samples and temperatures by this."""

NUM_SAMPLES = 1000
NUM_CHAINS, NUM_WARMUP, NUM_DRAWS = 4, 100, 250
NUM_ADAPTED, MORE = 4000, 16  # weighed draws; so many times as many where that alone is missing
NUM_PARTICLES, NUM_FITTED, NUM_BOLD, NUM_POINTS, NUM_TRIED = 64, 40, 20, 64, 1024  # of a refined Gaussian
NUM_STEPS, NUM_ANNEALED, NUM_PILOT, NUM_LEAPFROG = 100, 16, 8, 3


def num_warmup(growth: float) -> int:
    """Transitions that adapt: twice as many in a round of four times the draws, half as many in one of a quarter."""
    return int(NUM_WARMUP * max(0.5, 1 + math.log(growth, GROWTH)))
