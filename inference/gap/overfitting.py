"""Whether the encoder overfits: amortization costs more on test data than on training data."""

import math
from dataclasses import dataclass

from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import NORMAL_95
from elbowroom.inference.gap.result import Decomposition
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


@dataclass(frozen=True, repr=False)
class EncoderOverfitting(Shown):
    """The mean amortization gap on test data less that on training data: what the encoder has not learnt in general.

    Attributes:
        train, test: mean amortization gap of the usable data, nats.
        difference: test − train, nats.
        stderr: over data and estimation: √(Var train / n + Var test / m); the variances of the estimates contain the
            errors of estimating them.
        interval: 95 %.
        num_train, num_test: data that entered.
    """

    train: float
    test: float
    difference: float
    stderr: float
    interval: tuple[float, float]
    num_train: int
    num_test: int

    def as_table(self) -> Table:
        """The difference, what it says, and how many data it rests on."""
        low, high = self.interval
        difference = (
            f"amortization costs {self.test:.2f} nats on test data and {self.train:.2f} on training data: "
            f"{self.difference:+.2f} (95 % interval {low:.2f} … {high:.2f})"
        )
        return Table((difference, self._meaning(), f"{self.num_test} test data, {self.num_train} training data"))

    def _meaning(self) -> str:
        low, high = self.interval
        if low > 0:
            return "The encoder overfits: it finds q for data that it was trained on and less well for new ones"
        if high < 0:
            return "The encoder is worse on the training data: are the two sets drawn alike?"
        return "No overfitting of the encoder is seen"


@checked
def encoder_overfitting(train: Decomposition, test: Decomposition) -> EncoderOverfitting:
    """Compare the amortization gaps of training and test data (two independent samples; Cremer et al. 2018).

    Args:
        train, test: decompositions of the same programs and family; data whose encoder output has exploded stay out.

    Raises:
        ValueError: if the families differ, or a side has fewer than two usable data.
    """
    if train.family != test.family:
        raise ValueError(
            f"train was decomposed with family {train.family!r}, test with {test.family!r}: "
            "give both decompositions the same, decompose(..., family=...)"
        )
    gaps = [d.amortization.value[d.usable].double() for d in (train, test)]
    for name, gap in zip(("train", "test"), gaps, strict=True):
        if len(gap) < 2:
            raise ValueError(f"{name} has {len(gap)} usable data, a difference of means needs at least 2 on each side")
    low, high = (float(gap.mean()) for gap in gaps)
    stderr = math.sqrt(sum(float(gap.var()) / len(gap) for gap in gaps))
    times = student_95(gaps[0], gaps[1])
    difference = high - low
    interval = (difference - times * stderr, difference + times * stderr)
    return EncoderOverfitting(low, high, difference, stderr, interval, len(gaps[0]), len(gaps[1]))


def student_95(*samples: Tensor) -> float:
    """The 97.5 % point of Student's t with the degrees of freedom of Welch (1947) for means of these samples."""
    from scipy.stats import t

    parts = [float(s.var()) / len(s) for s in samples]
    if sum(parts) == 0:
        return NORMAL_95
    freedom = sum(parts) ** 2 / sum(p**2 / (len(s) - 1) for p, s in zip(parts, samples, strict=True))
    return float(t.ppf(0.975, freedom))
