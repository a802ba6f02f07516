"""The arguments of a training run, checked and resolved."""

import math
from dataclasses import dataclass

from elbowroom.inference.training.objective import LOSSES
from elbowroom.inference.training.schedule import SCHEDULES

KEEP = ("last", "best")


@dataclass(frozen=True)
class Settings:
    """What decides the numbers of a run: two runs with equal settings, data and programs are the same run.

    The attributes are the arguments of `fit` by the same names; `prepare` is the name of the function.

    Raises:
        ValueError, TypeError: naming the argument, what was got and what was expected.
    """

    plate: str | None
    num_epochs: int
    batch_size: int | None
    learning_rate: float
    schedule: str
    clip_norm: float | None
    warmup_epochs: float
    loss: str
    num_particles: int
    alpha: float | None
    seed: int
    validate_every: int | None
    num_validation_samples: int
    prepare: str | None

    def __post_init__(self) -> None:
        for name in ("num_epochs", "num_particles"):
            _integer(name, getattr(self, name), 1)
        for name in ("batch_size", "validate_every"):
            if getattr(self, name) is not None:
                _integer(name, getattr(self, name), 1)
        _integer("num_validation_samples", self.num_validation_samples, 2)
        _integer("seed", self.seed, 0)
        _positive("learning_rate", self.learning_rate)
        if self.clip_norm is not None:
            _positive("clip_norm", self.clip_norm)
        if not (_is_number(self.warmup_epochs) and 0 <= self.warmup_epochs < math.inf):
            raise ValueError(f"warmup_epochs must be a number of epochs >= 0, got {self.warmup_epochs!r}")
        _registered("schedule", self.schedule, SCHEDULES)
        _registered("loss", self.loss, LOSSES)
        if self.loss == "RenyiELBO":
            self._check_renyi()
        elif self.alpha is not None:
            raise ValueError(f"alpha={self.alpha} is the order of RenyiELBO; loss={self.loss!r} has none")

    def _check_renyi(self) -> None:
        if self.num_particles < 2:
            raise ValueError(
                "loss='RenyiELBO' with num_particles=1 is the ELBO: use num_particles >= 2, or loss='Trace_ELBO'"
            )
        if self.alpha is not None and not (_is_number(self.alpha) and math.isfinite(self.alpha) and self.alpha != 1):
            raise ValueError(
                f"alpha must be a finite number other than 1 (0 is the importance-weighted bound), got {self.alpha!r}; "
                "for alpha = 1 use loss='Trace_ELBO'"
            )
        if self.warmup_epochs:
            raise ValueError(
                "warmup_epochs weighs the KL term, which RenyiELBO does not have: use warmup_epochs=0 or another loss"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(name: str, value: object, smallest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer >= {smallest}, got {value!r} ({type(value).__name__})")
    if value < smallest:
        raise ValueError(f"{name} must be an integer >= {smallest}, got {value}")


def _positive(name: str, value: float) -> None:
    if not (_is_number(value) and 0 < value < math.inf):
        raise ValueError(f"{name} must be a positive finite number, got {value!r}")


def _registered(name: str, value: str, registry: object) -> None:
    names = sorted(registry)  # type: ignore[call-overload]
    if value not in names:
        raise ValueError(f"unknown {name} {value!r}; known: {', '.join(names)}")
