"""log p(x) in bits per dimension, as papers on images report it: per value, of the numbers that were stored."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from elbowroom.entrances import check_fields, checked
from elbowroom.inference.estimate import NORMAL_95, Bound, Estimate
from elbowroom.inference.programs.supports import entry_support
from elbowroom.inference.showing.numbers import plain
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target

_TURNED: Mapping[Bound, Bound] = {"lower": "upper", "upper": "lower", "exact": "exact", "none": "none"}
_DEQUANTIZED: Mapping[Bound, Bound] = {"lower": "upper", "exact": "upper", "upper": "none", "none": "none"}
_WORDS: Mapping[Bound, str] = {
    "upper": "an upper bound",
    "lower": "a lower bound",
    "exact": "exact",
    "none": "no bound",
}


@dataclass(frozen=True)
class Bits:
    """The unit: −(log p(x) + P log s) / (P log 2) bits per dimension of data with P values.

    A density has the unit of what it is of: with x = s · k, where k are the stored numbers, log p(k) = log p(x) + P log
    s. Probabilities of discrete x have no such unit, s = 1.

    With *uniform dequantization* x = s (k + u), u ~ U[0, 1)^P, Jensen's inequality gives E_u log p(k + u) ≤ log ∫ p(k +
    u) du = log P(k) (Theis, van den Oord & Bethge 2016, section 3.1): what is said of the density bounds the
    probability of the integers, and in bits from above.

    Attributes:
        num_values: P.
        scale: s, what the programs are given for a difference of 1 in the stored numbers; 1/255 of bytes as grey values
            in [0, 1], 1/256 of dequantized ones.
        dequantized: whether u was added.
    """

    num_values: int
    scale: float = 1.0
    dequantized: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    def of(self, log_p: Tensor) -> Tensor:
        """log p(x) in nats as bits per dimension, which have the other sign."""
        return -(log_p + self.num_values * math.log(self.scale)) / self._nats

    def difference(self, nats: Tensor) -> Tensor:
        """A difference of log p(x), such as the room, or an error, in bits per dimension."""
        return nats / self._nats

    def bound(self, bound: Bound) -> Bound:
        """What the number bounds, if log p(x) bounds that."""
        return (_DEQUANTIZED if self.dequantized else _TURNED)[bound]

    @property
    def says(self) -> str:
        """How it is meant, in words."""
        unit = (
            "" if self.scale == 1 else f", of stored numbers ({plain(1 / self.scale, 4).rstrip('0').rstrip('.')} to 1)"
        )
        return f"{self.num_values} values{unit}{', uniformly dequantized' if self.dequantized else ''}"

    @property
    def _nats(self) -> float:
        return self.num_values * math.log(2)


@dataclass(frozen=True, repr=False)
class BitsPerDimension(Shown):
    """−log p(x) in bits per dimension.

    Attributes:
        value: of each datum, `[B]`.
        stderr: standard error of *estimating* each, `[B]`.
        bound: what `value` bounds in expectation: `"upper"` where log p(x) is a lower bound.
        flags: of each datum, as of the estimate.
        unit: how it is meant.
    """

    value: Tensor
    stderr: Tensor
    bound: Bound
    flags: tuple[str, ...]
    unit: Bits

    def __len__(self) -> int:
        return len(self.value)

    @property
    def bound_told(self) -> str:
        """What the numbers are, in words: an upper bound, exact, …"""
        return _WORDS[self.bound]

    def mean(self) -> tuple[float, float]:
        """The mean over data and the standard error of *estimating* it."""
        stderr = self.stderr.double()
        return self.value.double().mean().item(), (stderr.square().sum().sqrt() / len(self)).item()

    def spread(self) -> float:
        """The standard error of the mean *as a sample of data*: what other data from the same source differ by."""
        return (self.value.double().std() / len(self) ** 0.5).item() if len(self) > 1 else math.nan

    def as_table(self) -> Table:
        """The mean, its interval, what it bounds, and its error over data."""
        mean, error = self.mean()
        low, high = mean - NORMAL_95 * error, mean + NORMAL_95 * error
        head = [
            f"{plain(mean, 4)} bits per dimension (95 %: {plain(low, 4)} … {plain(high, 4)}), {self.bound_told}, of "
            f"{len(self)} data of {self.unit.says}",
            f"as a sample of data: ± {self.spread():.2g}",
        ]
        if self.unit.dequantized:
            head.append(
                "of one draw of the noise for each datum: in expectation above the bits of the integers, even if log "
                "p(x) is exact"
            )
        flagged = sum(map(bool, self.flags))
        head += [f"{flagged} data are flagged: not to be trusted"] * bool(flagged)
        return Table(tuple(head))


def unit_of(target: Target, scale: float = 1.0, dequantized: bool = False) -> Bits:
    """The unit of a target's data: s = 1 where the model gives them probabilities, whatever `scale` is.

    Args:
        target: programs and data.
        scale, dequantized: of `Bits`, for a model with a density.
    """
    sites = [r for program, kind, _, r in target.sites() if program == "model" and kind == "observed"]
    num_values = sum(record["value"].numel() for record in sites) // len(target.whole or target)
    if all(getattr(entry_support(record["fn"]), "is_discrete", False) for record in sites):
        return Bits(num_values)
    return Bits(num_values, scale, dequantized)


@checked
def bits_per_dimension(
    estimate: Estimate, x: Tensor | int, *, scale: float = 1.0, dequantized: bool = False
) -> BitsPerDimension:
    """An estimate of log p(x), datum by datum, in bits per dimension.

    Args:
        estimate: log p(x) in nats: from `importance`, `quadrature`, …, or `bracket(…).lower`.
        x: the data, `[B, ...]`, or the number of values of a datum.
        scale, dequantized: see `Bits`.

    Raises:
        ValueError: if x are not as many as the estimate has data, if the estimate is no log-likelihood, or on a scale
            out of range.
    """
    if isinstance(x, Tensor):
        if len(x) != len(estimate):
            raise ValueError(f"x: got shape {tuple(x.shape)}, expected the {len(estimate)} data of the estimate")
        num_values = x[0].numel()
    else:
        num_values = x
    if said := next(filter(None, estimate.unnormalised), ""):
        raise ValueError(f"estimate: its values are no log-likelihood ({said}), so there are no bits per dimension")
    unit = Bits(num_values, scale, dequantized)
    value, stderr = unit.of(estimate.value.double()), unit.difference(estimate.stderr.double())
    return BitsPerDimension(value, stderr, unit.bound(estimate.bound), estimate.flags, unit)
