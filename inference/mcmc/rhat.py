"""R-hat: do the chains agree? Rank-normalised and split, for all data at once."""

import torch
from torch import Tensor

MIN_DRAWS = 4
"""Chains with fewer draws have no diagnostics: their halves would have no variance."""


def rank_rhat(halves: Tensor, scores: Tensor, ordered: Tensor) -> Tensor:
    """Rank-normalised split R-hat: the larger of that of the draws' ranks and of the ranks of |draw − median|.

    Args:
        halves: R scalars' chains, split in halves, `[R, C, T]`.
        scores: their normal scores, `[R, C, T]`, and
        ordered: their sorted values, `[R, C T]`, as `normal_scores` gives them.

    Returns:
        R-hat, `[R]`, float64; NaN where a draw is NaN and where no chain ever moves.

    Source: Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), equations 1 to 4 and 14.
    """
    # Bulk: do the chains agree where they are? Ranks instead of draws, so that heavy tails have a variance.
    bulk = plain_rhat(scores)
    # Tails: do they agree in how far they go? The same of the distances from the median.
    folded, _ = normal_scores(_from_median(halves, ordered))
    tail = plain_rhat(folded)
    larger = torch.where(tail > bulk, tail, bulk)  # as ArviZ: undefined where the bulk's is, not where the tail's is
    return larger.masked_fill(halves.isnan().any(2).any(1), torch.nan)


def _from_median(halves: Tensor, ordered: Tensor) -> Tensor:
    """|draw − median|, `[R, C, T]`. Of an even number of draws two are nearest, and equally far.

    Computed as the others they would differ by rounding, which would decide the two lowest ranks and move R-hat by .007
    in chains of 40 draws.
    """
    size = ordered.shape[1]
    below, above = (ordered[:, i].reshape(-1, 1, 1) for i in ((size - 1) // 2, size // 2))
    distance = (halves - (below + above) / 2).abs()
    return torch.where((halves == below) | (halves == above), (above - below) / 2, distance)


def plain_rhat(chains: Tensor) -> Tensor:
    """R-hat of chains `[R, C, T]` as they are, `[R]`.

        R̂ = √((B / W + T − 1) / T)

    B is T times the variance of the chains' means (equation 1), W the mean of their variances (equation 2); R̂ is
    equation 4.
    """
    length = chains.shape[2]
    between = length * chains.mean(2).var(1)
    return ((between / chains.var(2).mean(1) + length - 1) / length).sqrt()


def normal_scores(chains: Tensor) -> tuple[Tensor, Tensor]:
    """Normal quantiles of the ranks that a scalar's draws have in all its chains, and its draws sorted.

        Φ⁻¹((r − 3/8) / (S + 1/4)),  S = C T; ties share their mean rank r (equation 14; Blom 1958)

    Args:
        chains: `[R, C, T]`.

    Returns:
        The scores `[R, C, T]` and the sorted draws `[R, C T]`.
    """
    ordered, origin = chains.flatten(1).sort(1)
    size = ordered.shape[1]
    # The first and the last place of the run of equal values that each place lies in.
    place = torch.arange(size, device=chains.device)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = torch.where(starts, place, 0).cummax(1).values
    ends = starts.roll(-1, 1)  # the last value ends a run of equals: the first one starts one
    final = torch.where(ends, place, size).flip(1).cummin(1).values.flip(1)
    # A mean rank is half an integer, so that there are 2 S − 1 scores to be computed, however many scalars there are.
    ranks = torch.arange(2, 2 * size + 1, dtype=chains.dtype, device=chains.device) / 2
    table = torch.special.ndtri((ranks - 0.375) / (size + 0.25))
    scores = torch.empty_like(ordered).scatter_(1, origin, table[first + final])
    return scores.view_as(chains), ordered
