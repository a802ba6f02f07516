"""What the largest weights say of those that were not drawn: how far a mean may be off, and whether to believe it.

The delta method knows only of the weights that were drawn. Where their tail is heavy the mean rests on rarer ones, and
a k̂ that is too small by chance hides it: of data whose true index is 0.84, four in ten have k̂ < 0.7 at S = 1000. So
the tail is fitted twice, to the M largest weights (k̂, as everybody has it) and to up to four times as many, whose
index varies half as much; an error bar holds what the mean would be under the largest index that this leaves open.
How often such intervals cover was measured: `benchmarks/heavy_weights.py`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.weights.pareto import (
    K_LIMIT,
    TailFit,
    fit_of_tail,
    pareto_k_stderr,
    tail_length,
)
from elbowroom.inference.weights.reductions import is_constant, log_marginal

LONG_LIMIT = 0.65
"""Index of the longer tail above which an estimate cannot be trusted; it varies less than k̂, so it may be lower."""

_NORMAL_95 = 1.959964  # standard errors of a 95 % interval
_NOISE, _FLOOR = 1.7, 0.52  # of few weights an index must exceed floor + noise/√M: ordinary ones scatter up to there
_OPEN = 0.4, 2.0, 15.0  # up to this index two standard errors are left open, then 0.15 more for each hundredth
_MOST = 0.97  # an index of one has no mean: the largest that an error bar is made for
_WORTH_A_FLAG = 0.04  # nats that a nearly constant weight's odd tail must leave open
_OUTWARD, _HARMFUL = 3.5, 0.5  # standard errors between both indices, and the least k̂ that matters


class Tail(NamedTuple):
    """What the tail of S weights says of their mean, `[B]` each.

    Attributes:
        k: k̂ of the M largest weights.
        k_long: k̂ of the up to 4 M largest.
        open_above: how far log E w may lie above log p̂ as far as the longer tail tells, nats: an upper end, at the
            level of a 95 % interval or beyond.
        num_samples: S.
    """

    k: Tensor
    k_long: Tensor
    open_above: Tensor
    num_samples: int

    @classmethod
    def of(cls, top: Tensor, log_mean: Tensor, num_samples: int) -> "Tail":
        """From the `long_tail_length(S)` + 1 largest of S log weights, `[L + 1, B]`, and log p̂ `[B]`."""
        num_tail = tail_length(num_samples)
        long = fit_of_tail(top)
        above = _open_above(long, top, log_mean, num_samples)
        return cls(fit_of_tail(top[: num_tail + 1]).k, long.k, above, num_samples)

    @classmethod
    def unknown(cls, like: Tensor, num_samples: int) -> "Tail":
        """The tail of too few weights."""
        nothing = torch.full_like(like, torch.nan, dtype=torch.float64)
        return cls(nothing, nothing, torch.zeros_like(nothing), num_samples)

    @classmethod
    def joined(cls, parts: "Sequence[Tail]") -> "Tail":
        """The tails of all data, part after part; on the processor, as results are."""
        k, k_long, above = (torch.cat(column).cpu() for column in zip(*(p[:3] for p in parts), strict=True))
        return cls(k, k_long, above, parts[0].num_samples)

    def constant(self, where: Tensor) -> "Tail":
        """The tail with the data whose weights are all equal set right, `[B]` bool."""
        k, k_long = (torch.where(where, -torch.inf, k) for k in (self.k, self.k_long))
        return Tail(k, k_long, self.open_above.masked_fill(where, 0.0), self.num_samples)

    def widened(self, stderr: Tensor) -> Tensor:
        """A standard error of log p̂, `[B]`, made as large as the tail leaves open, nats."""
        known = self.open_above.isfinite()  # where nothing is, a flag says so
        return torch.maximum(stderr, self.open_above.where(known, 0.0) / _NORMAL_95)  # NaN stays NaN

    @property
    def heavy(self) -> Tensor:
        """Whether the tail is too heavy for the estimate and its error bar, `[B]` bool."""
        return torch.tensor([bool(flag) for flag in self.flags()], device=self.k.device)

    def flags(self) -> tuple[str, ...]:
        """For each datum the reason not to trust the estimate, or an empty string."""
        columns = zip(self.k.tolist(), self.k_long.tolist(), self.open_above.tolist(), strict=True)
        return tuple(heavy_tail(k, k_long, self.num_samples, above) for k, k_long, above in columns)


def tail_of(log_w: Tensor) -> Tail:
    """The tail of log w `[S, B]`; of twenty samples or fewer it is unknown."""
    num_samples, constant = len(log_w), is_constant(log_w)
    if not has_tail(num_samples):
        return Tail.unknown(log_w[0], num_samples).constant(constant)
    top = log_w.topk(long_tail_length(num_samples) + 1, dim=0).values
    return Tail.of(top, log_marginal(log_w).double(), num_samples).constant(constant)


def has_tail(num_samples: int) -> bool:
    """Whether so many weights have a tail of five, and others."""
    return 5 <= tail_length(num_samples) < num_samples


def long_tail_length(num_samples: int) -> int:
    """L = min(4 M, ⌊S/3⌋), but at least M: the longer tail."""
    num_tail = tail_length(num_samples)
    return max(min(4 * num_tail, num_samples // 3), num_tail)


def k_limit(num_tail: int, limit: float = K_LIMIT) -> float:
    """The k̂ of a tail of so many weights above which an estimate is flagged: `limit`, or what chance alone reaches."""
    return max(limit, _FLOOR + _NOISE / math.sqrt(max(num_tail, 1)))


def heavy_tail(k: float, k_long: float, num_samples: int, open_above: float = math.inf) -> str:
    """The reason not to trust an estimate from S weights with these indices; empty where both are within their limits.

    It is one of three. k̂ is above 0.7. That of the longer tail is above 0.65, and leaves more than 0.04 nats open. Or
    k̂ is above 0.5 and more than 3.5 of its standard errors above that of the longer tail: weights that are the heavier
    the rarer they are, of a posterior with far longer tails than the guide's, whose mean may rest on what was never
    drawn.
    """
    num_tail, num_long = tail_length(num_samples), long_tail_length(num_samples)
    if k > (limit := k_limit(num_tail)):
        return f"Pareto k̂ = {k:.2f} > {limit:.2g}: the weights' tail is too heavy"
    if k_long > (limit := k_limit(num_long, LONG_LIMIT)) and open_above > _WORTH_A_FLAG:
        return f"Pareto k̂ of the {num_long} largest weights = {k_long:.2f} > {limit:.2g}: their tail is too heavy"
    error = (1 + max(k_long, 0.0)) / math.sqrt(max(num_tail, 1))
    if k > _HARMFUL and k - k_long > _OUTWARD * error:
        return (
            f"Pareto k̂ = {k:.2f} in the tail, {k_long:.2f} of the {num_long} largest weights: the tail is the heavier "
            "the farther out"
        )
    return ""


def min_sample_size(k: Tensor) -> Tensor:
    """Samples from which on a mean of weights with tail index k can be trusted, 10^(1 / (1 − max(0, k))), `[B]`.

    +∞ from k = 1 on. Vehtari et al. (2024), section 3.2.4.
    """
    exponent = 1 / (1 - k.clamp(0, 1))
    return torch.where(k < 1, 10**exponent, torch.where(k.isnan(), torch.nan, torch.inf))


def convergence_rate(k: Tensor, num_samples: int) -> Tensor:
    """How fast the error of a Pareto-smoothed mean falls at S samples, relative to 1/√S, `[B]`.

    A rate r means that 4^(1/r) times as many samples halve the error: 1 for bounded weights (k < 0), 0 from k = 1 on,
    1 − 1/log S at k = ½ and in between

        (2 (k − 1) S^(2k + 1) + (1 − 2k) S^(2k) + S²) / ((S − 1) (S − S^(2k))).

    Vehtari et al. (2024), appendix B, as the R package posterior computes it.
    """
    if num_samples < 2:
        return torch.full_like(k, torch.nan)
    size, half = float(num_samples), k == 0.5
    inside = torch.where(half, 0.25, k.clamp(0, 1))
    power = size ** (2 * inside)
    rate = (2 * (inside - 1) * size * power + (1 - 2 * inside) * power + size**2) / ((size - 1) * (size - power))
    rate = torch.where(half, 1 - 1 / math.log(size), rate.clamp(0, 1))
    return torch.where(k.isnan(), torch.nan, torch.where(k < 0, 1.0, torch.where(k >= 1, 0.0, rate)))


def _open_above(fit: TailFit, top: Tensor, log_mean: Tensor, num_samples: int) -> Tensor:
    """log of E w under the largest index that is left open, over p̂; `[B]`, nats, at least 0.

    The tail's part of the mean is (L/S) (u + σ/(1 − k)), u the threshold; at another index σ is such that the median
    excess, σ (2^k − 1)/k, stays.
    """
    num_tail, k = len(top) - 1, fit.k.clamp(-10.0, _MOST)
    start, sigmas, slope = _OPEN
    errors = sigmas + slope * (k - start).clamp_min(0)
    largest = (k + errors * pareto_k_stderr(k, tail=num_tail)).clamp(1e-3, _MOST)
    scale = fit.sigma * (top[0].double() - log_mean).exp()  # of the excess, in units of p̂
    scale = scale * _median_excess(k) / _median_excess(largest)
    relative = (top.double() - log_mean).exp()
    tail = num_tail / num_samples * (relative[-1] + scale / (1 - largest))
    above = torch.log1p((tail - relative[:-1].sum(0) / num_samples).clamp_min(0))
    return torch.where(above.isfinite() & fit.k.isfinite(), above, torch.where(fit.k == torch.inf, torch.inf, 0.0))


def _median_excess(k: Tensor) -> Tensor:
    """(2^k − 1)/k, the median of a generalised Pareto distribution of scale one, `[B]`."""
    safe = torch.where(k.abs() < 1e-6, 1e-6, k)
    return torch.expm1(safe * math.log(2)) / safe
