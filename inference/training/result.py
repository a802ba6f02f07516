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
            weight of its last step), `bound`, `learning_rate` (of its last step), `train_loss` (mean loss of its
            minibatches, at their β, in nats per datum), `gradient_norm` (mean over steps, before clipping), `seconds`
            (of training so far). Epochs with a validation also have `elbo`, `elbo_stderr`, `reconstruction`, `kl`,
            `kl_per_dim` (see `Evaluation`; always at β = 1). `notes` is there when something must be known.
            `bound` is "lower" where minus the loss is a lower bound on log p(x) in expectation in each step of the
            epoch (`OBJECTIVES` says it of each), and "none" where it is not, or the KL term is weighed or floored: with
            β < 1 that may exceed log p(x); with β > 1, and with free bits, it lies below the ELBO, but where it is
            highest the ELBO is not.
        best_epoch: the epoch with the highest validation ELBO; None without validation.
        best_elbo: that ELBO, nats per datum; None without validation.
        num_steps: optimisation steps taken.
        seconds: spent training, all sessions of a resumed run together.
        path: the run directory, if there is one.
        stopped: what ended training before its last epoch, "patience" or "on_epoch"; None if nothing did.
        beta: KL weight of the last step.
        bound: as in the last row of `history`.
        loss: name of the objective, or of the caller's own function.
        steps: how those of this call were taken: "run" by the programs, "recorded" or "compiled", and why not better
            if that was asked for; "none" where a run was resumed that had ended.
        workers: processes that trained together.
    """

    history: list[dict[str, Any]]
    best_epoch: int | None
    best_elbo: float | None
    num_steps: int
    seconds: float
    path: Path | None
    stopped: str | None = None
    beta: float = 1.0
    bound: str = "lower"
    loss: str = "Trace_ELBO"
    steps: str = "run"
    workers: int = 1

    def as_table(self) -> Table:
        """The best epoch, and the losses and validation ELBOs of the epochs, the last first."""
        by = f", {self.workers} workers" if self.workers > 1 else ""
        head = [f"a training run of {len(self.history)} epochs, {self.num_steps} steps, {self.seconds:.1f} s{by}"]
        if self.stopped is not None:
            head.append(f"ended by {self.stopped}")
        if self.bound == "none":
            head.append(
                f"the objective ({self.loss}, β = {self.beta:g} at the end) is no bound on log p(x); validation is the "
                "ELBO, β = 1"
            )
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
