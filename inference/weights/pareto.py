"""Pareto k̂: how many moments the importance weights of each datum have."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.weights.reductions import is_constant

K_LIMIT = 0.7
"""k̂ above which an estimate, its error bar included, cannot be trusted (Vehtari et al. 2024); see `tail.py`."""


class TailFit(NamedTuple):
    """A generalised Pareto distribution fitted to the excesses of the largest weights, `[B]` each.

    Attributes:
        k: its shape, pulled towards ½; −∞, +∞ and NaN as `pareto_k` has them.
        sigma: its scale, in units of the largest weight.
    """

    k: Tensor
    sigma: Tensor


def tail_length(num_samples: int) -> int:
    """M = ⌈min(S/5, 3√S)⌉ largest weights are the tail (Vehtari et al. 2024, section 2.3 and Algorithm 1)."""
    return math.ceil(min(0.2 * num_samples, 3 * math.sqrt(num_samples)))


def pareto_k(log_w: Tensor) -> Tensor:
    """Tail index k̂ of the weights of each datum, `[B]`: how many moments they have (1/k̂).

    The generalised Pareto shape of the M largest weights over the (M+1)-th, by the estimator of Zhang & Stephens
    (2009) with the weakly informative prior of Vehtari et al. (2024, Algorithm 1 and appendix C). Below
    `K_LIMIT` the estimate of log p(x) can be trusted; from 1 on the weights have no mean that a sample could show.

    Returns:
        k̂; −∞ where all weights, or all of the tail and its threshold, are equal (nothing could be better); +∞ where
        the largest few weights are all there is; NaN where S ≤ 20 or ties leave fewer than five weights above the
        threshold, where all weights are zero, and where one is NaN or infinite.
    """
    num_tail = tail_length(len(log_w))
    if num_tail < 5 or num_tail >= len(log_w):
        nothing = torch.full_like(log_w[0], torch.nan)
        return torch.where(is_constant(log_w), -torch.inf, nothing)
    top = log_w.topk(num_tail + 1, dim=0).values  # [M + 1, B], largest first
    k = pareto_k_of_tail(top)
    return torch.where(is_constant(log_w), -torch.inf, k)


def pareto_k_of_tail(top: Tensor) -> Tensor:
    """`pareto_k` from the M + 1 largest log weights, `[M + 1, B]`, largest first."""
    return fit_of_tail(top).k


def fit_of_tail(top: Tensor) -> TailFit:
    """Shape and scale of the excesses of the M largest log weights over the next, `[M + 1, B]`, largest first."""
    top = top.double()
    scaled = (top - top[0]).exp()
    excess = (scaled[:-1] - scaled[-1]).flip(0)  # [M, B], ascending; ties with the threshold are zeros
    k, sigma = fit_generalized_pareto(excess)
    above = (top[:-1] > top[-1]).sum(0)
    k = torch.where((excess > 0).sum(0) < 5, torch.inf, k)  # all but a few weights vanish beside the largest
    k = torch.where(above < 5, torch.nan, k)
    k = torch.where(above == 0, -torch.inf, k)
    return TailFit(torch.where(top.isnan().any(0) | ~top[0].isfinite(), torch.nan, k), sigma)


def pareto_k_stderr(k: Tensor, num_samples: int = 0, *, tail: int | None = None) -> Tensor:
    """Asymptotic standard error of k̂, (1 + k) / √M with M the tail length, `[B]` (Smith 1987).

    Args:
        k: k̂.
        num_samples: S, whose tail it is of.
        tail: M, if it is not that of S samples.
    """
    return (1 + k.clamp_min(-0.5)) / math.sqrt(max(tail_length(num_samples) if tail is None else tail, 1))


def fit_generalized_pareto(excess: Tensor) -> tuple[Tensor, Tensor]:
    """Shape k and scale σ of a generalised Pareto distribution, `[B]` each, from sorted excesses `[M, B]`.

    In terms of θ = −k/σ the shape that fits best is k(θ) = mean log(1 − θ x). The estimate is the posterior mean of θ
    under the profile likelihood, on a grid that follows the data (Zhang & Stephens 2009), with the prior that pulls k
    towards 0.5 with the weight of ten observations (Vehtari et al. 2024, appendix C). Leading zeros are left out: a
    column has as many excesses as are positive.
    """
    # The grid has 30 + √n points θ_j = 1 / x_n + (1 − √(m / (j − ½))) / (3 x_q), x_q the first quartile.
    num_excesses = (excess > 0).sum(0)  # [B]
    num_grid = 30 + num_excesses.sqrt().floor()
    position = len(excess) - num_excesses + (num_excesses / 4 + 0.5).floor().long() - 1
    quarter = excess.gather(0, position.clamp(0, len(excess) - 1).unsqueeze(0))  # [1, B]
    index = torch.arange(1, 31 + int(math.sqrt(len(excess))), dtype=excess.dtype, device=excess.device).unsqueeze(1)
    offsets = 1 - (num_grid / (index - 0.5)).sqrt()  # [G, B]
    theta = offsets / (3 * quarter) + 1 / excess[-1]  # [G, B]
    # The profile log likelihood of each of them, n (log(−θ / k(θ)) − k(θ) − 1).
    shape = torch.stack([torch.log1p(-t * excess).sum(0) for t in theta]) / num_excesses  # [G, B], not [G, M, B]
    profile = num_excesses * ((-theta / shape).log() - shape - 1)  # [G, B]
    # The posterior mean of θ, and the shape and scale that belong to it.
    weight = profile.masked_fill(index > num_grid, -torch.inf).softmax(0)
    best = (theta * weight).sum(0)
    k = torch.log1p(-best * excess).sum(0) / num_excesses
    sigma = -k / best
    # The prior on k: ten more observations, of shape one half.
    return (k * num_excesses + 0.5 * 10) / (num_excesses + 10), sigma
