"""Gamma functions without their large parts: differences of log Γ that keep their digits in any precision."""

import math

import torch
from torch import Tensor

_STIRLING_FROM = 16.0
"""Where Stirling's series is right to the last bit of a double with the terms below."""


def log_rising(t: Tensor, x: Tensor) -> Tensor:
    """log Γ(t + x) − log Γ(t) for t > 0, x ≥ 0; of large t by Stirling's series, where little would be left of it."""
    is_large = t > _STIRLING_FROM
    small, large = torch.where(is_large, 1.0, t), torch.where(is_large, t, _STIRLING_FROM)
    direct = (small + x).lgamma() - small.lgamma()
    end = large + x
    series = (large - 0.5) * (x / large).log1p() + x * (end.log() - 1) + _rest(end**-2) / end - _rest(large**-2) / large
    return torch.where(is_large, series, direct)


def log_scaled_gamma(t: Tensor, log_t: Tensor) -> Tensor:
    """log Γ(t) − t log t + t, which grows like −½ log t only.

    By Stirling's series at s = t + 8 and Γ(t) = Γ(s) / (t (t + 1) ⋯ (t + 7)), whose factors are taken in pairs:
    q, q + 6, q + 10, q + 12 with q = t (t + 7).
    """
    s_inverse = 1 / (t + 8)
    u = s_inverse * s_inverse
    w = t * (t + 7) * u  # q / s²
    log_factors = (w * (w + 6 * u) * (w + 10 * u) * (w + 12 * u)).log()  # − 8 log s
    log_ratio = torch.log1p(8 / t)  # log s − log t
    return t * log_ratio - 0.5 * (log_t + log_ratio) + _CONSTANT + s_inverse * _rest(u) - log_factors


_CONSTANT = 0.5 * math.log(2 * math.pi) - 8


def _rest(u: Tensor) -> Tensor:
    """s (log Γ(s) − [(s − ½) log s − s + ½ log 2π]), s ≥ 8, of u = 1/s² (Abramowitz & Stegun 6.1.41)."""
    last, *others = reversed(_SERIES if u.dtype == torch.float64 else _SERIES[:3])
    total = last * u + others[0]
    for coefficient in others[1:]:
        total = total * u + coefficient
    return total


_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
