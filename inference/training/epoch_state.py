"""What `on_epoch` is shown after each epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from elbowroom.inference.programs.structure import Program


@dataclass(frozen=True)
class EpochState:
    """Where training stands after an epoch.

    Attributes:
        epoch: epochs completed, from 1.
        model, guide: the programs as they were given to `fit`, with the parameters of now, in evaluation mode.
        metrics: this epoch's row of `Fit.history` (a copy); `elbo` and the like are there if it was validated.
        beta: KL weight of its last step.
        learning_rate: of its last step.
        best_epoch: the epoch with the highest validation ELBO so far; None without validation.
        best_elbo: that ELBO, nats per datum.
    """

    epoch: int
    model: Program
    guide: Program
    metrics: dict[str, Any]
    beta: float
    learning_rate: float
    best_epoch: int | None
    best_elbo: float | None


OnEpoch = Callable[[EpochState], bool | None]
"""Returns True to end training here, None or False to go on."""
