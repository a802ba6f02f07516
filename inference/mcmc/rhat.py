"""R-hat: do chains agree? Rank-normalised and split, and nested for many short chains; for all data at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from elbowroom.inference.mcmc.effective_size import split, to_rows

MIN_DRAWS = 4
"""Chains with fewer draws have no diagnostics: their halves would have no variance."""


def rhat(draws: Tensor) -> Tensor:
    """Rank-normalised split R-hat: the larger of that of the draws' ranks and of the ranks of |draw − median|.

    Args:
        draws: `[chains, draws, ...]`.

    Returns:
        R-hat, `[...]`, float64; NaN with one chain, with fewer than four draws, where a draw is NaN, and where no chain
        ever moves.

    Raises:
        ValueError: on draws with fewer than two dimensions.

    Source: Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), equations 1 to 4 and 14.
    """
    rows, shape = to_rows(draws)
    halves = split(rows)
    if rows.shape[1] < 2 or rows.shape[2] < MIN_DRAWS:
        return rows.new_full(shape, torch.nan)
    scores, ordered = normal_scores(halves)
    return rank_rhat(halves, scores, ordered).reshape(shape)


def rank_rhat(halves: Tensor, scores: Tensor, ordered: Tensor) -> Tensor:
    """The same from split chains `[R, C, T]`, their normal scores and their sorted values `[R, C T]`; `[R]`."""
    size = ordered.shape[1]
    median = (ordered[:, (size - 1) // 2] + ordered[:, size // 2]) / 2
    folded, _ = normal_scores((halves - median.reshape(-1, 1, 1)).abs())
    bulk, tail = plain_rhat(scores), plain_rhat(folded)
    found = torch.where(tail > bulk, tail, bulk)  # as ArviZ: undefined where the bulk's is, not where the tail's is
    return found.masked_fill(halves.isnan().any(2).any(1), torch.nan)


def plain_rhat(rows: Tensor) -> Tensor:
    """√((B / W + T − 1) / T) of chains `[R, C, T]` as they are, `[R]` (equation 4)."""
    length = rows.shape[2]
    between = length * rows.mean(2).var(1)
    return ((between / rows.var(2).mean(1) + length - 1) / length).sqrt()


def normal_scores(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Normal quantiles of the pooled ranks of each row, and the row sorted: `[R, C, T]`, `[R, C T]`.

    Φ⁻¹((r − 3/8) / (S + 1/4)), ties share their mean rank r (equation 14; Blom 1958).
    """
    ordered, origin = rows.flatten(1).sort(1)
    size = ordered.shape[1]
    place = torch.arange(size, device=rows.device)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    first = torch.where(starts, place, 0).cummax(1).values
    ends = starts.roll(-1, 1)  # the last value ends a run of equals: the first one starts one
    final = torch.where(ends, place, size).flip(1).cummin(1).values.flip(1)
    # A mean rank is half an integer, so that there are 2 S − 1 scores to be computed, whatever the number of rows.
    ranks = torch.arange(2, 2 * size + 1, dtype=rows.dtype, device=rows.device) / 2
    table = torch.special.ndtri((ranks - 0.375) / (size + 0.25))
    scores = torch.empty_like(ordered).scatter_(1, origin, table[first + final])
    return scores.view_as(rows), ordered


def nested_rhat(draws: Tensor, superchains: Sequence[int] | Tensor) -> Tensor:
    """Nested R-hat of many short chains, in groups that each started from one point.

        R̂_ν = √(1 + B̂ / Ŵ),  B̂ = Var_k(mean of superchain k),  Ŵ = mean_k (B̃_k + W̃_k)

    B̃_k is the variance of the chains' means in superchain k (0 for one chain), W̃_k the mean of their variances (0 for
    one draw). Chains of one draw will do where there are several to a superchain: ordinary R-hat needs long chains,
    this one needs many. It is at least 1, and for M independent chains of n effective draws in each superchain it comes
    to √(1 + 1 / (M n)): choose M so that this is below the gate.

    Args:
        draws: `[chains, draws, ...]`.
        superchains: for each chain the label of the group that shares its starting point, `[chains]`.

    Returns:
        R̂_ν, `[...]`, float64; NaN where a draw is NaN and where no chain ever moves.

    Raises:
        ValueError: on labels that are not one a chain, fewer than two superchains, superchains of different sizes, or
            one chain of one draw to each.

    Source: Margossian, Hoffman, Sountsov, Riou-Durand, Vehtari & Gelman (2024), "Nested R̂: assessing the convergence of
    Markov chain Monte Carlo when running many short chains", Bayesian Analysis, section 2.2.
    """
    rows, shape = to_rows(draws)
    grouped = rows[:, _groups(superchains, rows.shape[1])]  # [R, K, M, T]
    _, num_superchains, num_chains, length = grouped.shape
    if num_superchains < 2 or num_chains * length < 2:
        raise ValueError(
            f"got {num_superchains} superchains of {num_chains} chains with {length} draws; at least 2 superchains are "
            "needed, and 2 draws in each"
        )
    means = grouped.mean(3)
    within = rows.new_zeros(len(rows))
    if num_chains > 1:
        within = within + means.var(2).mean(1)
    if length > 1:
        within = within + grouped.var(3).mean((1, 2))
    return (1 + means.mean(2).var(1) / within).sqrt().reshape(shape)


def _groups(superchains: Sequence[int] | Tensor, num_chains: int) -> Tensor:
    """Indices of the chains of each superchain, `[K, M]`."""
    labels = torch.as_tensor(superchains).cpu()
    if labels.shape != (num_chains,):
        raise ValueError(
            f"superchains must hold one label for each of the {num_chains} chains, got shape {tuple(labels.shape)}"
        )
    _, sizes = labels.unique(return_counts=True)
    if len(sizes.unique()) > 1:
        raise ValueError(f"superchains must have one size, got sizes {sizes.tolist()}; leave chains out to even them")
    return labels.argsort(stable=True).reshape(len(sizes), -1)
