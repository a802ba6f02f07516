"""What `on_epoch` is shown after each epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from elbowroom.inference.programs.structure import Program
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


@dataclass(frozen=True, repr=False)
class EpochState(Shown):
    """Where training stands after an epoch.

    Attributes:
        epoch: epochs completed, from 1.
        model, guide: the programs as they were given to `fit`, with the parameters of now, in evaluation mode.
        metrics: this epoch's row of `Fit.history` (a copy); `elbo` and the like are there if it was validated.
        beta: KL weight of its last step.
        learning_rate: of its last step.
        best_epoch: the epoch with the highest validation ELBO so far; None without validation.
        best_elbo: that ELBO, nats per datum.
        worker: which of the processes that train together this is; 0 of one, and of several the one that saves.
    """

    epoch: int
    model: Program
    guide: Program
    metrics: dict[str, Any]
    beta: float
    learning_rate: float
    best_epoch: int | None
    best_elbo: float | None
    worker: int = 0

    def as_table(self) -> Table:
        """Its numbers; the programs by the names of their types."""
        best = f"; best ELBO {self.best_elbo:.6g} at epoch {self.best_epoch}" if self.best_elbo is not None else ""
        numbers = ", ".join(f"{k} {v:.6g}" for k, v in self.metrics.items() if isinstance(v, int | float))
        where = f"epoch {self.epoch}: beta {self.beta:.4g}, learning rate {self.learning_rate:.3g}{best}"
        programs = f"model {type(self.model).__name__}, guide {type(self.guide).__name__}"
        return Table((where, numbers, programs))


OnEpoch = Callable[[EpochState], bool | None]
"""Returns True to end training here, None or False to go on."""
