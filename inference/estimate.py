"""What every estimator of log p(x) returns, and which of several contradict each other."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Self

import torch
from torch import Tensor
from typing_extensions import TypeVar

Bound = Literal["lower", "upper", "none", "exact"]

NORMAL_95 = 1.959964
"""A 95 % interval of a normal estimate is value ± so many standard errors."""


SUSPICIOUS = 4.0
"""Standard errors that two answers may lie apart without suspicion."""
NEGLIGIBLE = 0.02
"""Nats: a disagreement below it is not worth a flag."""


def reasons(*flags: str) -> str:
    """Several flags of one datum as one; empty if none says anything."""
    return "; ".join(filter(None, flags))


Info = TypeVar("Info", bound=Mapping[str, Any], covariant=True, default=Any)
"""Diagnostics by name: each estimator has a `TypedDict` of its own, which says what is there."""


@dataclass(frozen=True)
class Estimate(Generic[Info]):
    """An estimate of log p(x) for each datum, with its own uncertainty.

    Attributes:
        value: the estimate, `[B]`, in nats.
        stderr: its standard error (for quadrature: its numerical error), `[B]`, in nats.
        bound: what `value` bounds in expectation: `"lower"`, `"upper"`, `"none"`, or `"exact"`.
        info: diagnostics by name, such as `ImportanceInfo` of `importance`. Per-datum ones are tensors `[B]`.
        flags: for each datum the reason why its number should not be trusted, or an empty string; by default B empty
            ones.
        unnormalised: for each datum why the value is no log-likelihood of it (`Target.unnormalised`), or an empty
            string. It renames the number, and casts no doubt on it.
    """

    value: Tensor
    stderr: Tensor
    bound: Bound
    info: Info = field(default_factory=dict)  # type: ignore[assignment]
    flags: tuple[str, ...] = ()
    unnormalised: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("flags", "unnormalised"):
            if not getattr(self, name):
                object.__setattr__(self, name, ("",) * self.value.shape[:1].numel())

    def __len__(self) -> int:
        return len(self.value)

    def flagged(self, causes: Sequence[str]) -> Self:
        """The same with a further reason for each datum before its own ones; empty texts say nothing."""
        return replace(self, flags=tuple(reasons(*both) for both in zip(causes, self.flags, strict=True)))

    def mean(self) -> tuple[float, float]:
        """The mean over data and the standard error of *estimating* it (data held fixed), in nats per datum.

        The standard error is √(Σ_b stderr_b²) / B: the data are independent streams of noise.
        """
        value, stderr = self.value.double(), self.stderr.double()
        return value.mean().item(), (stderr.square().sum().sqrt() / len(self)).item()

    def spread(self) -> float:
        """The standard error of the mean over data *as a sample of data*: sd over data / √B, in nats."""
        if len(self) < 2:
            return float("nan")
        return (torch.std(self.value.double()) / len(self) ** 0.5).item()


def in_short(texts: Sequence[str]) -> list[str]:
    """Sentences of data, each once with how many data it holds for, the most frequent first: to be said of a mean."""
    counts = Counter(filter(None, texts)).most_common()
    return [f"{text} ({count} of {len(texts)} data)" for text, count in counts]


def room_for(one: Tensor, other: Tensor) -> Tensor:
    """How far apart two values with these standard errors may lie without a reason for suspicion, nats."""
    return SUSPICIOUS * torch.hypot(one.double(), other.double()) + NEGLIGIBLE


def contradictions(estimates: Mapping[str, Estimate]) -> dict[str, tuple[str, ...]]:
    """Where several answers to the same data contradict each other: for each of them, datum by datum, by which and how.

    All must estimate log p(x) itself (the ELBO, far below it, contradicts nothing). An answer without a flag speaks
    against those that lie below it by more than 4 standard errors of both and 0.02 nats, if it is exact, a lower bound
    or of no direction; and against those above it, if it is exact, an upper bound, or neither of them bounds anything.
    An infinite bound and NaN speak against nothing.

    Args:
        estimates: name -> estimate of log p(x) of the same B data.

    Returns:
        name -> for each datum a reason such as "0.42 nats (17 s.e.) below exact", or an empty string.
    """
    found = {name: [""] * len(estimate) for name, estimate in estimates.items()}
    for name, estimate in estimates.items():
        for other, witness in estimates.items():
            if other == name:
                continue
            error = torch.hypot(estimate.stderr.double().cpu(), witness.stderr.double().cpu())
            distance = estimate.value.double().cpu() - witness.value.double().cpu()
            known = distance.isfinite() & error.isfinite()
            below = known & (distance < -(SUSPICIOUS * error + NEGLIGIBLE)) & (witness.bound != "upper")
            above = known & (distance > SUSPICIOUS * error + NEGLIGIBLE) & _speaks_against_above(estimate, witness)
            for b in (below | above).nonzero().flatten().tolist():
                if not witness.flags[b]:
                    found[name][b] = reasons(found[name][b], _contradiction(float(distance[b]), float(error[b]), other))
    return {name: tuple(texts) for name, texts in found.items()}


def with_contradictions(estimates: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """The same estimates, the contradicted ones flagged with `contradictions`; flags that say so already stay."""
    against = contradictions(estimates)
    return {
        name: replace(
            estimate,
            flags=tuple(
                reasons(flag, "" if new in flag else new)
                for flag, new in zip(estimate.flags, against[name], strict=True)
            ),
        )
        for name, estimate in estimates.items()
    }


def _speaks_against_above(estimate: Estimate, witness: Estimate) -> bool:
    """Whether a value above that of the witness is contradicted by it."""
    return witness.bound in ("exact", "upper") or (witness.bound == "none" and estimate.bound != "lower")


def _contradiction(distance: float, error: float, other: str) -> str:
    sigmas = f" ({abs(distance) / error:.0f} s.e.)" if error > 0 and math.isfinite(error) else ""
    return f"{abs(distance):.2g} nats{sigmas} {'below' if distance < 0 else 'above'} {other}"
