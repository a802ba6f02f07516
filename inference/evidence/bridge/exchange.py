"""Exchanging blocks of draws between the half that fits the proposal and the half that is bridged to it."""

import math
from itertools import pairwise

import torch
from torch import Tensor

MOST = 3
"""Pairs of ways to deal four blocks into two halves."""

Split = tuple[tuple[int, int], tuple[int, int]]
"""The blocks that the proposal is fitted to, and those that are bridged to it."""

_LEAST = 8  # draws of a chain in a block: fewer have no effective sample size
_DEALS = ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2))

SIGNIFICANT = 4.0
"""Standard errors between the two bridges of a pair, from which on they disagree: one pair in 16 000 by chance."""

NEGLIGIBLE = 0.02
"""Nats between two bridges that are not worth a flag."""


def blocks(num_draws: int) -> list[slice]:
    """Four blocks of a chain, the first two of them its first half."""
    half = num_draws // 2
    edges = (0, half // 2, half, half + (num_draws - half) // 2, num_draws)
    return [slice(low, high) for low, high in pairwise(edges)]


def splits(num_exchanges: int, num_draws: int) -> list[Split]:
    """Pairs of splits, the second of each with the halves of the first exchanged; the very first is the estimate's own.

    Chains too short for blocks of their own are exchanged by halves alone.
    """
    pairs = min(num_exchanges, MOST if num_draws >= 4 * _LEAST else 1)
    found: list[Split] = []
    for a, b, c, d in _DEALS[:pairs]:
        found += [((a, b), (c, d)), ((c, d), (a, b))]
    return found


def disagreement(log_r: Tensor, stderr: Tensor) -> tuple[Tensor, Tensor]:
    """How far the two bridges of each pair are apart: at most and on average, in units of the error that they report.

        d_p = log r_p − log r'_p,   Var d_p = s_p² + s'_p²,

    for the two of a pair share no draw on the bridged side, nor any of their proposals'. What differs by less than
    `NEGLIGIBLE` nats counts as equal.

    Args:
        log_r: of the splits in pairs, `[2 P, B]`, nats.
        stderr: their reported errors, `[2 P, B]`.

    Returns:
        max_p |d_p| / √(s_p² + s'_p²), and the root of the mean of its square, `[B]` each; ∞ where one is not finite.
    """
    first, second = log_r.unflatten(0, (-1, 2)).unbind(1)
    apart = (first - second).abs()
    score = apart / stderr.unflatten(0, (-1, 2)).square().sum(1).sqrt()
    score = torch.where(apart <= NEGLIGIBLE, score.nan_to_num(0.0).clamp_max(1.0), score).nan_to_num(math.inf)
    return score.amax(0), score.square().mean(0).sqrt()
