"""What every estimator of log p(x) returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Self

import torch
from torch import Tensor
from typing_extensions import TypeVar

Bound = Literal["lower", "upper", "none", "exact"]

NORMAL_95 = 1.959964
"""A 95 % interval of a normal estimate is value ± so many standard errors."""


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
    """

    value: Tensor
    stderr: Tensor
    bound: Bound
    info: Info = field(default_factory=dict)  # type: ignore[assignment]
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.flags:
            object.__setattr__(self, "flags", ("",) * self.value.shape[:1].numel())

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
