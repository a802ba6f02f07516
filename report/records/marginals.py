"""The posterior's marginals by every method, each number with its Monte Carlo error."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference import Comparison
from elbowroom.inference.diagnostics.marginals import GRID_LEVELS
from elbowroom.inference.evidence.quadrature.quadrature import LEVELS

METHODS = {"quadrature": "exact", "guide": "q (guide)", "importance": "importance", "nuts": "NUTS", "hmc": "HMC"}
"""Methods in the order in which they are shown, and what they are called."""


@dataclass(frozen=True)
class MarginalErrors:
    """Monte Carlo standard errors of one method's marginals.

    Attributes:
        sd: of the standard deviation, `[B, N]`.
        quantiles: of the quantiles, `[Q, B, N]`.
    """

    sd: Tensor
    quantiles: Tensor


def marginal_errors(comparison: Comparison, method: str, levels: tuple[float, ...] = LEVELS) -> MarginalErrors:
    """Errors of a method's sd and quantiles, from its marginals and what its draws are worth.

    sd: √((m₄ − s⁴) / n) / 2s, with the fourth central moment m₄. Quantiles: a quarter of the distance between those
    at p ± 2 √(p(1 − p)/n) (Woodruff 1952), which needs no density. n is the number of independent draws: for MCMC the
    smaller of ArviZ's bulk and tail effective sample sizes. Quadrature's numerical errors are those of its mean.
    """
    posterior = comparison.posteriors[method]
    if method == "quadrature":
        return MarginalErrors(posterior.mean_stderr, posterior.mean_stderr.expand(len(levels), -1, -1))
    size = posterior.ess.unsqueeze(1).expand_as(posterior.mean)  # [B, N]
    if comparison.draws is not None and method == comparison.draws.info["method"]:
        convergence = comparison.draws.convergence
        size = torch.minimum(convergence.ess_bulk, convergence.ess_tail)
    fourth = ((posterior.grid - posterior.mean) ** 4).mean(0)
    sd = (((fourth - posterior.sd**4).clamp_min(0) / size).sqrt() / (2 * posterior.sd)).nan_to_num(posinf=torch.inf)
    steps = [2 * (p * (1 - p) / size).sqrt() for p in levels]
    ends = zip(levels, steps, strict=True)
    return MarginalErrors(
        sd,
        torch.stack(
            [(_quantiles_at(posterior.grid, p + h) - _quantiles_at(posterior.grid, p - h)) / 4 for p, h in ends]
        ),
    )


def marginal_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """`comparison.rows()` with `sd_stderr` and `q05_stderr`, `q50_stderr`, `q95_stderr`, in the order of `METHODS`."""
    errors = {method: marginal_errors(comparison, method) for method in comparison.posteriors}
    records = []
    for record in comparison.rows():
        b, n = comparison.data.index(record["datum"]), comparison.latents.index(record["latent"])
        error = errors[record["method"]]
        quantiles = {f"q{round(100 * p):02d}_stderr": error.quantiles[i, b, n].item() for i, p in enumerate(LEVELS)}
        records.append(record | {"sd_stderr": error.sd[b, n].item()} | quantiles)
    order = list(METHODS)
    return sorted(
        records, key=lambda r: (_place(comparison, r), order.index(r["method"]) if r["method"] in order else 9)
    )


def label(method: str) -> str:
    """The name of a method in tables and figures."""
    return METHODS.get(method, method)


def _place(comparison: Comparison, record: dict[str, Any]) -> tuple[int, int]:
    return comparison.data.index(record["datum"]), comparison.latents.index(record["latent"])


def _quantiles_at(grid: Tensor, level: Tensor) -> Tensor:
    """Quantiles `[B, N]` at a level for each cell, interpolated in the grid `[GRID, B, N]`."""
    position = (level * len(GRID_LEVELS) - 0.5).clamp(0, len(GRID_LEVELS) - 1)
    low = position.floor().long().clamp(max=len(GRID_LEVELS) - 2)
    below, above = (grid.gather(0, index.unsqueeze(0))[0] for index in (low, low + 1))
    return below + (above - below) * (position - low)
