"""Running sums over samples that arrive in chunks: moments, power sums, groups of K."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from elbowroom.inference.weights.jackknife import jackknife_correction
from elbowroom.inference.weights.power_means import PowerSums
from elbowroom.inference.weights.ratio_bound import NUM_BINS, RatioSums


@dataclass
class Moments:
    """Running mean and sum of squared deviations, merged chunk by chunk (Chan, Golub & LeVeque 1979)."""

    mean: Tensor
    squares: Tensor
    count: int = 0

    def add(self, values: Tensor) -> None:
        """Take in values `[n, B]`."""
        mean, new, total = values.mean(0), len(values), self.count + len(values)
        between = (mean - self.mean) ** 2 * (self.count * new / total)
        self.squares = self.squares + values.var(0, correction=0) * new + between
        self.mean = (self.mean * self.count + mean * new) / total  # −∞ stays −∞
        self.count = total

    def stderr(self) -> Tensor:
        """Of the mean; NaN from one value."""
        if self.count < 2:
            return torch.full_like(self.mean, torch.nan)
        return (self.squares / (self.count - 1) / self.count).sqrt()


@dataclass
class Powers:
    """log Σ w^β and log Σ w^2β, kept apart for samples of even and of odd index: two independent halves."""

    exponent: float
    log_sums: Tensor  # [2, B]
    log_squares: Tensor  # [2, B]
    count: int = 0

    def add(self, log_w: Tensor) -> None:
        """Take in a chunk `[S', B]`."""
        for half in (0, 1):
            powers = self.exponent * log_w[(half - self.count) % 2 :: 2]
            if len(powers):
                self.log_sums[half] = torch.logaddexp(self.log_sums[half], powers.logsumexp(0))
                self.log_squares[half] = torch.logaddexp(self.log_squares[half], (2 * powers).logsumexp(0))
        self.count += len(log_w)

    def sums(self) -> PowerSums:
        """What the bounds are made from."""
        return PowerSums(self.exponent, self.log_sums, self.log_squares, self.count)


@dataclass
class Ratios:
    """Sums over groups of K weights for `ratio_upper`, in at most 32 bins: group g is in bin g mod 32."""

    log_sums: Tensor  # of log X, `[32, B]`
    log_means: Tensor  # log Σ X, X the mean of a group
    log_inverses: Tensor  # log Σ 1/X
    count: int = 0  # groups

    @classmethod
    def empty(cls, zero: Tensor) -> "Ratios":
        """Before the first group of data like `zero` `[B]`."""
        nothing = torch.full_like(zero, -torch.inf).expand(NUM_BINS, -1)
        return cls(torch.zeros_like(nothing), nothing.clone(), nothing.clone())

    def add(self, bounds: Tensor) -> None:
        """Take in log X of some groups, `[G, B]`."""
        for i in range(min(NUM_BINS, len(bounds))):
            some, b = bounds[i::NUM_BINS], (self.count + i) % NUM_BINS
            self.log_sums[b] += some.sum(0)
            self.log_means[b] = torch.logaddexp(self.log_means[b], some.logsumexp(0))
            self.log_inverses[b] = torch.logaddexp(self.log_inverses[b], (-some).logsumexp(0))
        self.count += len(bounds)

    def sums(self) -> RatioSums:
        """What the bound is made from."""
        counts = torch.tensor([(self.count - b + NUM_BINS - 1) // NUM_BINS for b in range(NUM_BINS)])
        return RatioSums(counts.double(), self.log_sums, self.log_means, self.log_inverses)


@dataclass
class Groups:
    """log-mean-exp of consecutive groups of K weights: IWAE-K, whatever the chunks are, and its jackknife."""

    size: int
    open_log_sum: Tensor
    open_count: int
    moments: Moments
    correction: Moments | None = None  # by the jackknife
    corrected: Moments | None = None
    ratios: Ratios | None = None
    open_members: list[Tensor] = field(default_factory=list)

    @classmethod
    def empty(cls, size: int, zero: Tensor, jackknife: bool) -> "Groups":
        """Before the first weight of data like `zero` `[B]`."""
        groups = cls(size, torch.full_like(zero, -torch.inf), 0, Moments(zero, zero))
        if jackknife:
            groups.correction, groups.corrected = Moments(zero, zero), Moments(zero, zero)
            groups.ratios = Ratios.empty(zero)
        return groups

    def add(self, log_w: Tensor) -> None:
        """Take in a chunk `[S', B]`."""
        if self.open_count:  # fill the group that the last chunk left open
            head = min(self.size - self.open_count, len(log_w))
            self._hold(log_w[:head])
            log_w = log_w[head:]
            if self.open_count < self.size:
                return
            members = torch.cat(self.open_members).unsqueeze(0) if self.open_members else None
            self._close(self.open_log_sum.unsqueeze(0), members)
            self.open_log_sum, self.open_count = torch.full_like(self.open_log_sum, -torch.inf), 0
            self.open_members = []
        whole = len(log_w) - len(log_w) % self.size
        if whole:
            members = log_w[:whole].unflatten(0, (-1, self.size))
            self._close(members.logsumexp(1), members)
        if whole < len(log_w):
            self._hold(log_w[whole:])

    def _hold(self, log_w: Tensor) -> None:
        self.open_log_sum = torch.logaddexp(self.open_log_sum, log_w.logsumexp(0))
        self.open_count += len(log_w)
        if self.correction is not None:
            self.open_members.append(log_w.clone())  # a view would keep the whole chunk

    def _close(self, log_sums: Tensor, members: Tensor | None) -> None:
        bounds = log_sums - math.log(self.size)
        self.moments.add(bounds)
        if self.ratios is not None:
            self.ratios.add(bounds)
        if self.correction is not None and self.corrected is not None and members is not None:
            correction = jackknife_correction(members)
            self.correction.add(correction)
            self.corrected.add(torch.where(bounds == -torch.inf, bounds, bounds + correction))
