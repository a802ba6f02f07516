"""An upper bound on log p(x) from the gap of the IWAE bound, after Struski et al. (2023)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

NUM_BINS = 32
"""Groups of K weights are kept apart in so many bins: every second one makes a half, and each is left out once."""


class RatioSums(NamedTuple):
    """Sums over the groups in each bin, X the mean of K weights, `[32, B]`; even and odd bins are the halves."""

    counts: Tensor  # groups in each bin, `[32]`
    log_sums: Tensor  # Σ log X
    log_means: Tensor  # log Σ X
    log_inverses: Tensor  # log Σ 1/X


def ratio_upper(sums: RatioSums) -> tuple[Tensor, Tensor]:
    """E log X + log E[Y / X] ≥ log p(x), X and Y independent means of K weights, and its error, `[B]` each, nats.

    X and Y are independent means of K weights. It holds because E[Y/X] = E Y · E[1/X], and log E[1/X] ≥ −E log X by
    Jensen; so the gap of IWAE-K is at most log E[Y/X]. This is how the code of Struski, Mazur, Batorski, Spurek & Tabor
    (AISTATS 2023, arXiv 2206.09453) bounds it, but for the logarithm of a sample mean of Y/X, which is biased
    downwards. Here the mean r of Y/X is over all pairs of different groups of one half, which has no bias, and

        ½ (log r₁ + log r₂) + cosh(log r₁ − log r₂) − 1,

    from both halves, lies above log E[Y/X] in expectation (log lies below its tangents; see `cubo_upper`): so the whole
    is an upper bound in expectation. With groups of S/2 weights it would be `upper-1` itself. The error is that of a
    jackknife over bins. Both are +∞ where a half has fewer than two groups, and where a group has no weight.
    """
    enough = all(float(sums.counts[half::2].sum()) >= 2 for half in (0, 1))
    if not enough:
        infinite = torch.full_like(sums.log_sums[0], torch.inf)
        return infinite, infinite
    value, used = _value(sums), [b for b in range(NUM_BINS) if float(sums.counts[b]) > 0]
    left_out = torch.stack([_value(_without(sums, b)) for b in used])
    spread = (left_out - left_out.mean(0)).square().sum(0)
    error = ((len(used) - 1) / len(used) * spread).sqrt()
    known, broken = value.isfinite() & error.isfinite(), sums.log_sums.isnan().any(0)
    value, error = (torch.where(known, t, torch.inf) for t in (value, error))
    return torch.where(broken, torch.nan, value), torch.where(broken, torch.nan, error)


def _without(sums: RatioSums, b: int) -> RatioSums:
    """The sums with a bin left out."""
    keep = torch.arange(NUM_BINS) != b
    rows = keep.unsqueeze(1).to(sums.log_sums.device)
    return RatioSums(
        sums.counts * keep,
        torch.where(rows, sums.log_sums, 0.0),
        torch.where(rows, sums.log_means, -torch.inf),
        torch.where(rows, sums.log_inverses, -torch.inf),
    )


def _value(sums: RatioSums) -> Tensor:
    """The bound, `[B]`; a half with one group left gives what the other says."""
    log_r = torch.stack([_log_ratio(sums, half) for half in (0, 1)])
    log_r = torch.where(log_r.isnan(), log_r.flip(0), log_r)
    difference = log_r[0] - log_r[1]
    log_ratio = log_r.mean(0) + 2 * (difference / 2).sinh().square()  # cosh − 1
    return sums.log_sums.sum(0) / float(sums.counts.sum()) + log_ratio


def _log_ratio(sums: RatioSums, half: int) -> Tensor:
    """log of the mean of X_h / X_g over pairs g ≠ h of one half, `[B]`: (Σ X · Σ 1/X − G) / (G (G − 1))."""
    count = float(sums.counts[half::2].sum())
    if count < 2:
        return torch.full_like(sums.log_sums[0], torch.nan)
    pairs = sums.log_means[half::2].logsumexp(0) + sums.log_inverses[half::2].logsumexp(0)
    others = pairs + torch.log1p(-(count * (-pairs).exp()).clamp(max=1.0))  # Σ X Σ 1/X ≥ G², up to rounding
    return others - math.log(count * (count - 1))
