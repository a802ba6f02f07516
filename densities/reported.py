"""log p(x) of held-out data as it is reported: nats and bits per value, the error over data, train − test."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.densities.density import Density
from elbowroom.entrances import checked
from elbowroom.inference import Estimate
from elbowroom.inference.estimate import NORMAL_95
from elbowroom.inference.showing.numbers import flag_counts, plain
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

SAYS = {
    "exact": "exact",
    "lower": "a lower bound in expectation",
    "upper": "an upper bound in expectation",
    "none": "an estimate that bounds nothing",
}
"""What a value is, by what it bounds."""


class Mean(NamedTuple):
    """A mean over data with the standard error of it as a sample of data, nats."""

    value: float
    stderr: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval."""
        return self.value - NORMAL_95 * self.stderr, self.value + NORMAL_95 * self.stderr

    def per_value(self, num_values: int) -> "Mean":
        """The code length in bits per value, −nats / (P log 2)."""
        unit = num_values * math.log(2)
        return Mean(-self.value / unit, self.stderr / unit)


@checked
def mean_over_data(estimate: Estimate) -> Mean:
    """The mean of values `[B]` and its standard error over data drawn anew.

    It is sd over data / √B, which holds the noise of each datum's own estimate, and beside it what all data share
    (`info["common_stderr"]`), such as the error of an annealed log Z.
    """
    common = estimate.info.get("common_stderr", 0.0)
    return Mean(estimate.value.double().mean().item(), math.hypot(estimate.spread(), common))


@dataclass(frozen=True, repr=False)
class HeldOut(Shown):
    """log p(x) of held-out data, beside that of the data it was fitted to.

    Attributes:
        test: of held-out data.
        train: of training data, or None.
        data_dim: P, by which nats become bits per value.
    """

    test: Estimate
    train: Estimate | None
    data_dim: int

    @property
    def nats(self) -> Mean:
        """Of the held-out data."""
        return mean_over_data(self.test)

    @property
    def bits(self) -> Mean:
        """Per value of the held-out data."""
        return self.nats.per_value(self.data_dim)

    @property
    def overfit(self) -> Mean | None:
        """Training less held-out data, nats; an error that all data share cancels."""
        if self.train is None:
            return None
        found, kept = self.train, self.test
        return Mean(
            found.value.double().mean().item() - kept.value.double().mean().item(),
            math.hypot(found.spread(), kept.spread()),
        )

    def as_table(self) -> Table:
        """In sentences."""
        if not bool(self.test.value.isfinite().any()):
            return Table((f"This density says no log p(x): none of {len(self.test)} held-out data has one",))
        head = [
            f"log p(x), {SAYS[self.test.bound]}, of {len(self.test)} held-out data: {_said(self.nats, 'nats')}",
            f"  {_said(self.bits, 'bits per value', 4)}",
        ]
        if self.test.bound != "exact":
            own, common = self.test.mean()[1], self.test.info.get("common_stderr", 0.0)
            head.append(f"  of that its estimation has a standard error of {max(own, common):.2g} nats")
        if self.overfit is not None:
            head.append(f"  training data have {_said(self.overfit, 'nats more')}")
        return Table((*head, *flag_counts(self.test.flags)))


@checked
def held_out(density: Density, test: Tensor, train: Tensor | None = None, *, seed: int = 0) -> HeldOut:
    """log p(x) of held-out data by a fitted density, and of as many of its training data as there are of them.

    Args:
        density: fitted.
        test: `[B, P]`.
        train: `[N, P]`, of which B at equal distances are taken; None to leave them out.
        seed: of an estimate.

    Raises:
        ValueError, TypeError: naming the data that the density is not of.
    """
    for name, x in (("test", test), ("train", train)):
        if x is not None:
            density.checked(name, x)
    if train is not None:
        train = train[torch.linspace(0, len(train) - 1, min(len(train), len(test))).round().long()]
    found = None if train is None else density.log_prob(train, seed=seed)
    return HeldOut(density.log_prob(test, seed=seed), found, density.data_dim)


def _said(mean: Mean, unit: str, digits: int = 2) -> str:
    """`-18.34 nats (95 % over data: -18.90 … -17.78)`."""
    low, high = mean.interval
    return f"{plain(mean.value, digits)} {unit} (95 % over data: {plain(low, digits)} … {plain(high, digits)})"
