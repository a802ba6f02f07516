"""What does not decide a step: the data to validate on, where the run is kept, who watches it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from elbowroom.inference.evaluation.compiled import check_compile
from elbowroom.inference.training.batches import Data, Prepare
from elbowroom.inference.training.epoch_state import OnEpoch
from elbowroom.inference.training.objectives.own import OwnLoss
from elbowroom.inference.training.settings import KEEP, Settings


@dataclass(frozen=True, kw_only=True)
class Control:
    """The attributes are the arguments of `fit` by the same names; `own_loss` is `loss` where that is a function.

    Raises:
        ValueError, TypeError: naming the argument, what was got and what was expected.
    """

    validation: Data
    prepare: Prepare | None
    own_loss: OwnLoss | None
    on_epoch: OnEpoch | None
    keep: str
    run_dir: Path | None
    resume: bool
    checkpoint_seconds: float
    compile: bool | str
    device: torch.device
    progress: bool
    config: Any

    def __post_init__(self) -> None:
        if self.keep not in KEEP:
            raise ValueError(f"unknown keep {self.keep!r}; known: {', '.join(KEEP)}")
        if self.keep == "best" and self.validation is None:
            raise ValueError("keep='best' needs validation data: pass validation=..., or keep='last'")
        if self.resume and self.run_dir is None:
            raise ValueError("resume=True needs run_dir, the directory of the run to continue")
        if not self.checkpoint_seconds >= 0:
            raise ValueError(f"checkpoint_seconds must be a number of seconds >= 0, got {self.checkpoint_seconds!r}")
        check_compile(self.compile)
        if self.on_epoch is not None and not callable(self.on_epoch):
            raise TypeError(
                f"on_epoch must be a function of an EpochState, got {type(self.on_epoch).__name__}: "
                "for several, write one that calls them"
            )

    def check_with(self, settings: Settings, data: Data) -> None:
        """Raise ValueError where they do not go with the settings and the data."""
        if data is None and settings.plate is not None:
            raise ValueError(
                "data=None is for programs without arguments, but they have no rows for the plate "
                f"{settings.plate!r}: pass the data, or plate=None"
            )
        if settings.patience is not None and self.validation is None:
            raise ValueError(
                f"patience={settings.patience} waits for a better validation ELBO: pass validation=..., "
                "or patience=None"
            )
