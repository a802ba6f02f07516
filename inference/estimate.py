"""What every estimator of log p(x) returns, and which of several contradict each other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Self

import torch
from torch import Tensor
from typing_extensions import TypeVar

from elbowroom.entrances import checked
from elbowroom.inference.showing.numbers import flag_counts, flagged_first, in_short, mean_with_interval, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

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


@dataclass(frozen=True, repr=False)
class Estimate(Shown, Generic[Info]):
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

    @checked
    def flagged(self, causes: Sequence[str]) -> Self:
        """The same with a further reason for each datum before its own ones; empty texts say nothing."""
        if len(causes) != len(self):
            raise ValueError(f"causes must have a text for each of {len(self)} data, got {len(causes)}")
        return replace(self, flags=tuple(reasons(*both) for both in zip(causes, self.flags, strict=True)))

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further reason for every datum before its own ones."""
        return self.flagged((reason,) * len(self))

    def at(self, index: Tensor) -> "Estimate[Info]":
        """The same of some of the data, by their index `[R]`; what `info` says of all of them stays."""
        rows, count = index.tolist(), len(self)

        def some(value: Any) -> Any:
            if isinstance(value, Tensor) and value.dim() and len(value) == count:
                return value[index.to(value.device)]
            if isinstance(value, tuple) and len(value) == count:
                return tuple(value[b] for b in rows)
            return {key: some(one) for key, one in value.items()} if isinstance(value, Mapping) else value

        texts = (some(self.flags), some(self.unnormalised))
        return Estimate(some(self.value), some(self.stderr), self.bound, some(self.info), *texts)

    def mean(self) -> tuple[float, float]:
        """The mean over data and the standard error of *estimating* it (data held fixed), in nats per datum.

        The standard error is √(Σ_b stderr_b²) / B: the data are independent streams of noise.
        """
        value, stderr = self.value.double(), self.stderr.double()
        return value.mean().item(), (stderr.square().sum().sqrt() / len(self)).item()

    def as_table(self) -> Table:
        """What it bounds, its mean, and its flagged or least certain data with what `info` says of their weights."""
        beside = {header: self.info[key] for key, header in _BESIDE.items() if self._is_of_each_datum(key)}
        head = [f"{_BOUNDS[self.bound]}, {len(self)} data: mean {mean_with_interval(self.value, self.stderr)}"]
        if self._is_of_each_datum("elbo") and self._is_of_each_datum("elbo_stderr"):
            elbo, error = self.info["elbo"], self.info["elbo_stderr"]
            head.append(f"ELBO: mean {mean_with_interval(elbo, error)}")
            beside = {
                "ELBO (nats)": [with_error(*pair) for pair in zip(elbo.tolist(), error.tolist(), strict=True)]
            } | beside
        rows = [
            (
                str(b),
                with_error(float(self.value[b]), float(self.stderr[b])),
                *(text if isinstance(text := column[b], str) else f"{float(text):.2f}" for column in beside.values()),
                self.flags[b],
            )
            for b in flagged_first(self.flags, self.stderr)
        ]
        head[1:1] = in_short(self.unnormalised)
        return Table(
            (*head, *flag_counts(self.flags)),
            ("datum", "value (nats)", *beside, "flag"),
            ">" * (2 + len(beside)) + "<",
            rows,
            len(self),
        )

    def _is_of_each_datum(self, key: str) -> bool:
        value = self.info.get(key)
        if not isinstance(value, Tensor) or value.dim() != 1 or len(value) != len(self):
            return False
        return not bool(value.isnan().all())

    def spread(self) -> float:
        """The standard error of the mean over data *as a sample of data*: sd over data / √B, in nats."""
        if len(self) < 2:
            return float("nan")
        return (torch.std(self.value.double()) / len(self) ** 0.5).item()


def both_sides(title: str, lower: Estimate, upper: Estimate) -> Table:
    """Two estimates of the same data as one table: their means, and the flagged or least certain data."""
    width = Estimate(upper.value - lower.value, torch.hypot(upper.stderr.double(), lower.stderr.double()), "none")
    parts = {"lower": lower, "upper": upper, "upper less lower": width}
    flags = tuple(
        reasons(*dict.fromkeys(f"{one}; {other}".split("; ")))
        for one, other in zip(lower.flags, upper.flags, strict=True)
    )
    head = (
        title,
        *in_short(lower.unnormalised),
        *(f"  {name}: mean {mean_with_interval(e.value, e.stderr)}" for name, e in parts.items()),
    )
    rows = [
        (str(b), *(with_error(float(e.value[b]), float(e.stderr[b])) for e in parts.values()), flags[b])
        for b in flagged_first(flags, width.value.abs())
    ]
    return Table((*head, *flag_counts(flags)), ("datum", *parts, "flag"), ">>>><", rows, len(lower))


_BOUNDS: dict[Bound, str] = {
    "lower": "a lower bound in expectation",
    "upper": "an upper bound in expectation",
    "none": "an estimate that bounds nothing",
    "exact": "exact up to its error",
}
"""What a value is, by what it bounds: no less for log p(x) than for a divergence, a gain or a rate."""

_BESIDE = {"pareto_k": "k-hat", "ess": "ESS"}
"""Keys of `info` that are shown beside the value, and their headers."""


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
