"""Two models on the same data in numbers: log p(x), ELBO and room of both, and which is better."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.two_models.difference import difference, ends, error
from elbowroom.inference.two_models.paired import Paired

_FAR = 2.0  # times the largest difference among the data that are known


@dataclass(frozen=True, repr=False)
class Compared:
    """Two models on the same data.

    Differences are a − b, in nats per datum.

    Attributes:
        names: of a and b.
        data: indices of the n data that were taken up, of `num_data`: all, or a random sample.
        num_data: N, how many were given.
        brackets: log p(x) of these n data by either model.
        elbos: the ELBOs of their guides.
        anew: whether intervals are about data drawn anew, or about these.
        level: of the interval that has to leave out zero.
        more: what it would take to settle what is open and to take up the other data, in `unit`.
        unit: `"s"` or `"evaluations"`.
        spent: in that unit.
    """

    names: tuple[str, str]
    data: Tensor
    num_data: int
    brackets: tuple[Bracket, Bracket]
    elbos: tuple[Estimate, Estimate]
    anew: bool
    level: float
    more: float
    unit: str
    spent: float

    def __len__(self) -> int:
        return len(self.data)

    @cached_property
    def known(self) -> Tensor:
        """Which of the n data both models' log p(x) is known of, from both sides and without a flag, `[n]` bool."""
        return ~difference(self.brackets, self.num_data, self.anew)[1]

    @cached_property
    def log_p(self) -> Paired:
        """log p_a(x) − log p_b(x) of the data that are known."""
        return difference(self.brackets, self.num_data, self.anew)[0]

    @cached_property
    def elbo(self) -> Paired:
        """ELBO_a − ELBO_b of the same data."""
        one, other = self.elbos
        value, stderr = one.value - other.value, torch.hypot(one.stderr, other.stderr)
        return self._paired(value, value, stderr)

    @cached_property
    def room(self) -> Paired:
        """Room of a less room of b, (log p − ELBO)_a − (log p − ELBO)_b, of the same data."""
        (low, high), stderr = ends(self.brackets), torch.hypot(*(e.stderr for e in self.elbos))
        less = self.elbos[0].value - self.elbos[1].value
        return self._paired(low - less, high - less, torch.hypot(stderr, error(self.brackets)))

    def rooms(self) -> tuple[Paired, Paired]:
        """log p(x) − ELBO of each model, of the same data."""
        found = []
        for bracket, elbo in zip(self.brackets, self.elbos, strict=True):
            stderr = torch.hypot(torch.maximum(bracket.lower.stderr, bracket.upper.stderr), elbo.stderr)
            found.append(self._paired(bracket.lower.value - elbo.value, bracket.upper.value - elbo.value, stderr))
        return found[0], found[1]

    @property
    def overturned_by(self) -> float:
        """By how much the models would have to differ on the data that are not known, on average and the other way.

        Infinite if all are known, or nothing could be called better anyway.
        """
        unknown = len(self) - int(self.known.sum())
        sign = self.log_p.sign(self.level) if len(self.log_p) else 0
        if not unknown or not sign:
            return math.inf
        low, high = self.log_p.interval(self.level)
        return (low if sign > 0 else -high) * len(self.log_p) / unknown

    @property
    def is_overturned_by_unknown(self) -> bool:
        """Whether the data that are not known might well overturn what the others say."""
        if not math.isfinite(self.overturned_by):
            return False
        largest = torch.maximum(self.log_p.low.abs(), self.log_p.high.abs()).max()
        return self.overturned_by < _FAR * float(largest)

    @property
    def unnormalised(self) -> str:
        """Why a value is no log-likelihood, of either model; empty if all are."""
        for name, bracket in zip(self.names, self.brackets, strict=True):
            if reason := next(filter(None, bracket.unnormalised), ""):
                return f"{name}: {reason}"
        return ""

    @property
    def better(self) -> str | None:
        """The name of the model that is better; None if that cannot be told."""
        if not len(self.log_p) or self.unnormalised or self.is_overturned_by_unknown:
            return None
        return {1: self.names[0], -1: self.names[1], 0: None}[self.log_p.sign(self.level)]

    @property
    def is_reversed(self) -> bool:
        """Whether the ELBO calls the other model better than log p(x) does, both beyond doubt."""
        return self.better is not None and self.elbo.sign(self.level) == -self.log_p.sign(self.level)

    def _paired(self, low: Tensor, high: Tensor, stderr: Tensor) -> Paired:
        known = self.known
        return Paired(low[known], high[known], stderr[known], self.num_data, self.anew)
