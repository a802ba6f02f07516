"""The arguments of a training run, checked and resolved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from elbowroom.inference.training.argument_checks import check_integer, check_registered
from elbowroom.inference.training.kl_term import KLTerm
from elbowroom.inference.training.objectives.contract import Objective
from elbowroom.inference.training.objectives.registry import OBJECTIVES
from elbowroom.inference.training.optimisation import Optimisation

KEEP = ("last", "best")


@dataclass(frozen=True, kw_only=True)
class Settings(KLTerm, Optimisation):
    """What decides the numbers of a run: two runs with equal settings, data and programs are the same run.

    The attributes are the arguments of `fit` by the same names; `prepare` is the name of the function, and `loss` that
    of the caller's, which `own_bound` then tells from a name of the registry: it is what the function says of itself.
    Those with defaults are younger than the first run directories, which do not have them.

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
    loss_options: Mapping[str, Any] | None = None
    own_bound: str | None = None

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
        if not isinstance(self.loss_options, Mapping | None):
            raise TypeError(f"loss_options must be a mapping of options to values, got {self.loss_options!r}")
        if self.own_bound is None:
            check_registered("loss", self.loss, OBJECTIVES)
            self._check_objective(OBJECTIVES[self.loss])
        else:
            self._check_own()
        self._check_patience()

    @property
    def options(self) -> dict[str, Any]:
        """Of the objective; `alpha` is one of them, older than the others."""
        return ({} if self.alpha is None else {"alpha": self.alpha}) | dict(self.loss_options or {})

    def bound(self, betas: Iterable[float]) -> str:
        """What the objective is of steps at these β: "lower" of log p(x), or "none" where it is no such bound."""
        if self.own_bound is not None:
            return self.own_bound
        bound = OBJECTIVES[self.loss].bounds(self.options)
        return bound if not self.free_bits and all(beta == 1.0 for beta in betas) else "none"

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

    def _check_objective(self, objective: type[Objective]) -> None:
        if self.alpha is not None and "alpha" not in objective.options():
            having = [repr(name) for name, other in OBJECTIVES.items() if "alpha" in other.options()]
            raise ValueError(
                f"alpha={self.alpha} is an option of {', '.join(having)}; loss={self.loss!r} has none: leave alpha out"
            )
        if self.alpha is not None and "alpha" in (self.loss_options or {}):
            raise ValueError(f"alpha={self.alpha} is given twice: in loss_options, too")
        objective.check(self.options)
        if self.num_particles < objective.least_particles:
            raise ValueError(
                f"loss={self.loss!r} with num_particles={self.num_particles} has no other draws to weigh a draw by: "
                f"use num_particles >= {objective.least_particles}, or loss='Trace_ELBO'"
            )
        if not objective.weighs_kl:
            self._refuse_kl_term(f"loss={self.loss!r} does not have")
        if self.free_bits and not objective.floors_kl:
            having = [name for name, other in OBJECTIVES.items() if other.floors_kl]
            raise ValueError(
                f"free_bits={self.free_bits:g} is a floor under the KL term, and loss={self.loss!r} has none: leave "
                f"free_bits out, or use one of {', '.join(having)}"
            )

    def _check_own(self) -> None:
        if self.loss_options or self.alpha is not None:
            given = "alpha" if self.alpha is not None else "loss_options"
            raise ValueError(
                f"{given} is for losses by name, and loss is your own function {self.loss}: bind its options "
                "beforehand (functools.partial)"
            )
        if self.num_particles != 1:
            raise ValueError(
                f"num_particles={self.num_particles} is for losses by name, and loss is your own function {self.loss}: "
                "how often it draws is its own"
            )
        self._refuse_kl_term(f"your own function {self.loss} weighs by itself, or does not have")

    def _refuse_kl_term(self, why: str) -> None:
        for name in self.unlike_elbo():
            raise ValueError(f"{name} weighs the KL term, which {why}: leave {name} out, or use another loss")
