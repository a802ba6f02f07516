"""What changes from step to step: the learning rate and the weight of the KL term."""

import math
from collections.abc import Callable

SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": lambda progress, final=1.0: 1.0,
    "cosine": lambda progress, final=0.0: final + (1.0 - final) * (0.5 * (1.0 + math.cos(math.pi * progress))),
    "exponential": lambda progress, final=0.1: final**progress,
}
"""Name -> factor of the learning rate at `progress`, the fraction of all steps already taken (0 … 1), on its way from 1
to `final`."""

KL_WEIGHTS: dict[str, Callable[[int, float, int], float]] = {
    "constant": lambda step, warmup_steps, num_cycles: 1.0,
    "linear": lambda step, warmup_steps, num_cycles: step / warmup_steps,
    "cyclical": lambda step, warmup_steps, num_cycles: min(1.0, 2.0 * (step * num_cycles / warmup_steps % 1.0)),
}
"""Name -> share of β at step 0, 1, … of a warm-up of so many steps.

    constant   1
    linear     rises from 0 to 1 (Bowman et al. 2016)
    cyclical   in each of so many cycles it rises from 0 to 1 in the first half and stays there in the second
               (Fu et al. 2019, equation 6, with R = 1/2)
"""


def kl_weight(step: int, warmup_steps: float, name: str = "linear", num_cycles: int = 4) -> float:
    """Share of β at step 0, 1, …: that of `KL_WEIGHTS` in the warm-up, 1 after it."""
    return min(1.0, KL_WEIGHTS[name](step, warmup_steps, num_cycles)) if step < warmup_steps else 1.0
