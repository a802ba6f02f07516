"""The arguments of a training run, checked and resolved."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from elbowroom.inference.training.argument_checks import check_integer, check_registered, is_number
from elbowroom.inference.training.kl_term import KLTerm
from elbowroom.inference.training.objective import LOSSES
from elbowroom.inference.training.optimisation import Optimisation

KEEP = ("last", "best")


@dataclass(frozen=True, kw_only=True)
class Settings(KLTerm, Optimisation):
    """What decides the numbers of a run: two runs with equal settings, data and programs are the same run.

    The attributes are the arguments of `fit` by the same names; `prepare` is the name of the function. Those with
    defaults are younger than the first run directories, which do not have them.

    Raises:
        ValueError, TypeError: naming the argument, what was got and what was expected.
    """

    plate: str | None
    num_epochs: int
    batch_size: int | None
    loss: str
    num_particles: int
    alpha: float | None
    seed: int
    validate_every: int | None
    num_validation_samples: int
    prepare: str | None
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_epochs", "num_particles"):
            check_integer(name, getattr(self, name), 1)
        for name in ("batch_size", "validate_every", "patience"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 1)
        check_integer("num_validation_samples", self.num_validation_samples, 2)
        check_integer("seed", self.seed, 0)
        self.check_optimisation()
        self.check_kl_term()
        check_registered("loss", self.loss, LOSSES)
        if self.loss == "RenyiELBO":
            self._check_renyi()
        elif self.alpha is not None:
            raise ValueError(f"alpha={self.alpha} is the order of RenyiELBO; loss={self.loss!r} has none")
        self._check_patience()

    def bound(self, betas: Iterable[float]) -> str:
        """What the objective is of steps at these β: "lower" of log p(x), or "none" where it is no such bound."""
        as_it_is = not self.free_bits and (self.alpha or 0.0) >= 0.0
        return "lower" if as_it_is and all(beta == 1.0 for beta in betas) else "none"

    def has_stalled(self, epoch: int, best_epoch: int | None) -> bool:
        """Whether the ELBO of the validation after this epoch makes it `patience` epochs without a better one."""
        since = max(best_epoch or 0, self.warmup_ends(self.num_epochs))
        return self.patience is not None and epoch - since >= self.patience

    def _check_patience(self) -> None:
        if self.patience is not None and self.warmup_ends(self.num_epochs) >= self.num_epochs:
            raise ValueError(
                f"patience={self.patience} is counted from the end of the warm-up, and that lasts as long as training "
                f"(num_epochs={self.num_epochs}): give a shorter warmup_epochs, or patience=None"
            )

    def _check_renyi(self) -> None:
        if self.num_particles < 2:
            raise ValueError(
                "loss='RenyiELBO' with num_particles=1 is the ELBO: use num_particles >= 2, or loss='Trace_ELBO'"
            )
        if self.alpha is not None and not (is_number(self.alpha) and math.isfinite(self.alpha) and self.alpha != 1):
            raise ValueError(
                f"alpha must be a finite number other than 1 (0 is the importance-weighted bound), got {self.alpha!r}; "
                "for alpha = 1 use loss='Trace_ELBO'"
            )
        for name in self.unlike_elbo():
            raise ValueError(
                f"{name} weighs the KL term, which RenyiELBO does not have: leave {name} out, or use another loss"
            )
