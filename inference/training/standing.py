"""Where training stands, and what is written down of a validation."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from elbowroom.inference.training.evaluate import Evaluation


@dataclass
class Progress:
    """Where training stands: with the tensors and the generator's state, all that a resumed run needs."""

    epoch: int = 0  # epochs completed
    step_in_epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0  # over the current epoch, in nats
    norm_sum: float = 0.0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_elbo: float | None = None
    notes: list[str] = field(default_factory=list)  # for the metrics of the next epoch
    stopped: str | None = None  # what ended training before its last epoch
    unshared: str = ""  # why each of several workers has noise of its own


def recorded(held_out: Evaluation) -> dict[str, Any]:
    """The metrics of an evaluation; JSON has no NaN, so numbers that are not finite are null."""
    numbers = {k: v for k, v in asdict(held_out).items() if k not in ("non_finite", "kl_per_dim")}
    metrics: dict[str, Any] = {k: v if math.isfinite(v) else None for k, v in numbers.items()}
    return metrics | {"kl_per_dim": held_out.kl_per_dim if not held_out.non_finite else None}
