"""The mean of a difference that is known from both sides, and an interval for it."""

import math
from dataclasses import dataclass

from scipy.stats import norm
from scipy.stats import t as student
from torch import Tensor

from elbowroom.inference.showing.numbers import plain
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

LEVEL = 0.999
"""Of the interval that must leave out zero before one model is called better: one pair in a thousand is misjudged."""


@dataclass(frozen=True, repr=False)
class Paired(Shown):
    """A difference of n data, each known between two values, as a mean over data.

        low = mean_b(low_b) − t · se,    se = sd(low_b) / √n            (data drawn anew)
                                         se = √(Σ_b stderr_b²) / n      (these data)

    and likewise above with `high_b`, with t the quantile of Student's distribution with n − 1 degrees of freedom, or of
    the normal one for these data. sd(low_b) holds the error of each datum's own estimate. Where the n data are a random
    sample of N, those of "these data" that were left out count by (1 − n / N) sd²/n.

    Attributes:
        low, high: `[n]`, nats: the ends for each datum, the same where it is known exactly.
        stderr: standard error of either end, `[n]`.
        num_data: N, of which the n are all, or a random sample.
        anew: whether the interval is about data drawn anew from the same source, or about these.
    """

    low: Tensor
    high: Tensor
    stderr: Tensor
    num_data: int
    anew: bool = True

    def __len__(self) -> int:
        return len(self.low)

    @property
    def value(self) -> float:
        """The mean of the middles."""
        return float((self.low + self.high).mean()) / 2

    @property
    def apart(self) -> float:
        """Half of what lies between the sides on average, which no more data make smaller; noise aside."""
        return max(0.0, float((self.high - self.low).mean()) / 2)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The interval for the mean at that level; infinite where one datum is too few to speak of others."""
        times = self._times(level)
        low = float(self.low.mean()) - times * self._error(self.low)
        high = float(self.high.mean()) + times * self._error(self.high)
        return min(low, high), max(low, high)

    def sign(self, level: float = LEVEL) -> int:
        """1 or −1 where the whole interval lies on one side of zero, else 0."""
        low, high = self.interval(level)
        return int(low > 0) - int(high < 0)

    def data_to_tell(self, level: float = LEVEL) -> float:
        """How many data in all would give the interval a sign, if the mean and the spread stay what they are.

        Infinite where the sides are as far apart as the difference is large, or zero lies within one standard error.
        """
        beyond = abs(self.value) - self.apart
        error = self._error(self.low)
        if not self.anew or not math.isfinite(error) or beyond <= error:
            return math.inf
        return (self._times(level) * error / beyond) ** 2 * len(self)

    def heaviest(self) -> tuple[int, float]:
        """The datum that makes up most of the spread, and its share of Σ_b (d_b − mean)²."""
        middle = (self.low + self.high) / 2
        squares = (middle - middle.mean()).square()
        total = float(squares.sum())
        place = int(squares.argmax())
        return place, float(squares[place]) / total if total > 0 else 0.0

    def as_table(self) -> Table:
        """The mean with its interval."""
        low, high = (plain(end) for end in self.interval())
        whom = f"{len(self)} of {self.num_data} data" if len(self) < self.num_data else f"{len(self)} data"
        whose = "for data drawn anew" if self.anew else "for these data"
        return Table((f"mean difference {plain(self.value)} nats (95 % {whose}: {low} … {high}), of {whom}",))

    def _times(self, level: float) -> float:
        q = (1 + level) / 2
        return float(student.ppf(q, len(self) - 1)) if self.anew and len(self) > 1 else float(norm.ppf(q))

    def _error(self, side: Tensor) -> float:
        n = len(self)
        if n == 0:
            return math.inf
        spread = float(side.double().var()) if n > 1 else math.inf
        if self.anew:
            return math.sqrt(spread / n)
        left_out = (1 - n / self.num_data) * spread / n if n < self.num_data else 0.0
        return math.sqrt(float(self.stderr.double().square().sum()) / n**2 + left_out)
