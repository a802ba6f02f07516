"""Validation after an epoch: the held-out ELBO, which epoch is the best so far, and whether training has stalled."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from elbowroom.inference.target import Target
from elbowroom.inference.training.evaluate import Evaluation, evaluated
from elbowroom.inference.training.settings import Settings
from elbowroom.inference.training.train_state import TrainState
from elbowroom.inference.training.workers import Workers


@dataclass(frozen=True)
class Validation:
    """What is done with the held-out data.

    Attributes:
        target: the programs on them.
        settings: in which epochs, with how many draws, and how patient.
        workers: who share the work.
    """

    target: Target
    settings: Settings
    workers: Workers

    def is_due(self, epoch: int) -> bool:
        """Whether it is done after this epoch, from 1: the first and the last one always are validated."""
        return epoch in (1, self.settings.num_epochs) or epoch % (self.settings.validate_every or 1) == 0

    def run(self, state: TrainState) -> Evaluation:
        """Evaluate the parameters of now; the best ones, and the end of patience, are noted in the state."""
        settings, progress = self.settings, state.progress
        with state.parameters.evaluating():
            held_out = evaluated(self.target, settings.num_validation_samples, settings.seed, self.workers)
        if held_out.non_finite:
            progress.notes.append(
                f"the validation ELBO is not finite: {len(held_out.non_finite)} rows, first {held_out.non_finite[:8]}"
            )
        elif progress.best_elbo is None or held_out.elbo > progress.best_elbo:
            progress.best_epoch, progress.best_elbo = progress.epoch, held_out.elbo
            state.best = state.parameters.snapshot()
        if settings.has_stalled(progress.epoch, progress.best_epoch):
            progress.stopped = "patience"
        return held_out


def metrics_of(held_out: Evaluation) -> dict[str, Any]:
    """The metrics of an evaluation; JSON has no NaN, so numbers that are not finite are null."""
    numbers = {k: v for k, v in asdict(held_out).items() if k not in ("non_finite", "kl_per_dim")}
    metrics: dict[str, Any] = {k: v if math.isfinite(v) else None for k, v in numbers.items()}
    return metrics | {"kl_per_dim": held_out.kl_per_dim if not held_out.non_finite else None}
