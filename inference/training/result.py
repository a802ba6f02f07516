"""What `fit` returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Fit:
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
