"""What `fit` returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elbowroom.inference.showing.numbers import with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, Table


@dataclass(frozen=True, repr=False)
class Fit(Shown):
    """A finished training run.

    Attributes:
        history: a dict for each epoch, as in metrics.jsonl: `epoch` (from 1), `step` (steps taken so far), `beta` (KL
            weight of its last step), `learning_rate` (of its last step), `train_loss` (mean loss of its minibatches,
            at their β, in nats per datum), `gradient_norm` (mean over steps, before clipping), `seconds` (of training
            so far). Epochs with a validation also have `elbo`, `elbo_stderr`, `reconstruction`, `kl`, `kl_per_dim`
            (see `Evaluation`; always at β = 1). `notes` is there when something must be known.
        best_epoch: the epoch with the highest validation ELBO; None without validation.
        best_elbo: that ELBO, nats per datum; None without validation.
        num_steps: optimisation steps taken.
        seconds: spent training, all sessions of a resumed run together.
        path: the run directory, if there is one.
    """

    history: list[dict[str, Any]]
    best_epoch: int | None
    best_elbo: float | None
    num_steps: int
    seconds: float
    path: Path | None

    def as_table(self) -> Table:
        """The best epoch, and the losses and validation ELBOs of the epochs, the last first."""
        head = [f"a training run of {len(self.history)} epochs, {self.num_steps} steps, {self.seconds:.1f} s"]
        if self.best_epoch is not None:
            head.append(f"best validation ELBO {self.best_elbo:.3f} nats per datum, in epoch {self.best_epoch}")
        if self.path is not None:
            head.append(f"saved in {self.path}")
        columns = ("epoch", "step", "train loss (nats)", "validation ELBO (nats)", "learning rate", "notes")
        rows = [_row(epoch) for epoch in self.history[::-1][:LINES]]
        return Table(tuple(head), columns, ">>>>><", rows, len(self.history), "epochs")


def _row(epoch: dict[str, Any]) -> tuple[str, ...]:
    elbo = "" if epoch.get("elbo") is None else with_error(epoch["elbo"], epoch["elbo_stderr"])
    notes = epoch.get("notes") or ()
    return (
        str(epoch["epoch"]),
        str(epoch["step"]),
        f"{epoch['train_loss']:.6g}",
        elbo,
        f"{epoch['learning_rate']:.3g}",
        notes if isinstance(notes, str) else "; ".join(map(str, notes)),
    )
