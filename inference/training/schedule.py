"""What changes from step to step: the learning rate and the weight of the KL term."""

import math
from collections.abc import Callable

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
}
"""Name -> factor of the learning rate at `progress`, the fraction of all steps already taken (0 … 1)."""


def kl_weight(step: int, warmup_steps: float) -> float:
    """β of step 0, 1, …: rises linearly from 0 and is 1 after `warmup_steps` steps."""
    return min(1.0, step / warmup_steps) if warmup_steps > 0 else 1.0
