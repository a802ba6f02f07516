"""Bounds from power means of the weights: Rényi, CUBO, and an upper bound that is one in expectation."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class PowerSums(NamedTuple):
    """log Σ w^β and log Σ w^2β of samples of even and of odd index, `[2, B]` each: two independent halves."""

    exponent: float
    log_sums: Tensor
    log_squares: Tensor
    num_samples: int  # S, both halves together


def power_sums(log_w: Tensor, exponent: float) -> PowerSums:
    """The sums of log w `[S, B]`."""
    powers = exponent * log_w
    halves = [powers[0::2], powers[1::2]]
    return PowerSums(
        exponent,
        torch.stack([half.logsumexp(0) for half in halves]),
        torch.stack([(2 * half).logsumexp(0) for half in halves]),
        len(log_w),
    )


def renyi(log_w: Tensor, alpha: float) -> Tensor:
    """Rényi bound, (1 − α)⁻¹ log (1/S) Σ_s w^(1−α), `[B]`, nats (Li & Turner 2016, equation 14).

    In expectation this estimate is a lower bound on log p(x) for every α ≥ 0: their theorem 2 puts it between the ELBO
    and the exact bound. For α < 0 the exact bound lies above log p(x), but the estimate is biased downwards, from the
    ELBO at S = 1: it bounds nothing.

    Raises:
        ValueError: for α = 1, where it is the ELBO, and for an α that is not finite.
    """
    check_alpha(alpha)
    return power_mean(power_sums(log_w, 1 - alpha))[0]


def cubo(log_w: Tensor, order: float) -> Tensor:
    """Plug-in χ upper bound, (1/n) log (1/S) Σ_s w^n, `[B]`, nats (Dieng et al. 2017, equation 3).

    CUBO_n = (1/n) log E_q[w^n] ≥ log p(x) for n ≥ 1, but the logarithm of a mean is biased downwards (Jensen): at
    finite S this estimate may well lie below log p(x), and typically does where CUBO_n is loose.

    Raises:
        ValueError: for n < 1.
    """
    check_order(order)
    return power_mean(power_sums(log_w, order))[0]


def cubo_upper(log_w: Tensor, order: float) -> Tensor:
    """An upper bound on CUBO_n, and so on log p(x), in expectation at any S ≥ 2, `[B]`, nats.

    log m ≤ m/c + log c − 1 for every c > 0. With m the mean of w^n over one half of the samples and c that over the
    other half, which is independent of it, the expectation of the right side is at least log E[w^n]. Averaged over
    both ways: (1/n)·((log c₁ + log c₂)/2 + cosh(log c₁ − log c₂) − 1), above the plug-in by what the halves disagree.
    For n = 1 it bounds log p(x) itself and is as tight as importance sampling is precise. Where the weights are
    heavy-tailed the expectation rests on draws too rare to be seen, and a typical value is too low.

    Raises:
        ValueError: for n < 1.
    """
    check_order(order)
    return tangent(power_sums(log_w, order))[0]


def power_mean(sums: PowerSums) -> tuple[Tensor, Tensor]:
    """(1/β) log mean w^β and its delta-method standard error, `[B]` each, nats."""
    log_sum, log_squares = sums.log_sums.logsumexp(0), sums.log_squares.logsumexp(0)
    value = (log_sum - math.log(sums.num_samples)) / sums.exponent
    return value, _relative_variance(log_sum, log_squares, sums.num_samples).sqrt() / abs(sums.exponent)


def tangent(sums: PowerSums) -> tuple[Tensor, Tensor]:
    """`cubo_upper` and its delta-method standard error, `[B]` each, nats; both +∞ for one sample."""
    if sums.num_samples < 2:
        infinite = torch.full_like(sums.log_sums[0], torch.inf)
        return infinite, infinite
    counts = ((sums.num_samples + 1) // 2, sums.num_samples // 2)
    means = torch.stack([s - math.log(n) for s, n in zip(sums.log_sums, counts, strict=True)])  # log c₁, log c₂
    difference = means[0] - means[1]
    value = means.mean(0) + 2 * (difference / 2).sinh().square()  # cosh − 1
    slopes = 0.5 + torch.stack([difference.sinh(), -difference.sinh()])
    rows = zip(sums.log_sums, sums.log_squares, counts, strict=True)
    variances = torch.stack([_relative_variance(*row) for row in rows])
    error = (slopes.square() * variances).sum(0).sqrt()
    empty = (means == -torch.inf).any(0)  # no weight in one half: nothing is excluded from above
    value, error = (torch.where(empty, torch.inf, t) for t in (value, error))
    return value / sums.exponent, error / sums.exponent


def check_alpha(alpha: float) -> None:
    """Raise ValueError unless a Rényi bound of this α exists."""
    if not math.isfinite(alpha):
        raise ValueError(f"alpha must be finite, got {alpha}")
    if alpha == 1:
        raise ValueError("alpha = 1 is the ELBO, which has no power mean; read it from 'elbo'")


def check_order(order: float) -> None:
    """Raise ValueError unless E[w^n]^(1/n) bounds p(x) from above."""
    if not (order >= 1 and math.isfinite(order)):
        raise ValueError(f"order must be at least 1 (below it E[w^n]^(1/n) is no upper bound), got {order}")


def _relative_variance(log_sum: Tensor, log_squares: Tensor, count: int) -> Tensor:
    """Var(mean) / mean², `[B]`, of values with these sums; +∞ from one value."""
    if count < 2:
        return torch.full_like(log_sum, torch.inf)
    return ((log_squares - 2 * log_sum + math.log(count)).exp() - 1).clamp_min(0) / (count - 1)
