"""One datum's posterior as four methods see it: the guide, importance sampling, NUTS, and quadrature."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference import weights
from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.evaluation.budget import plan
from elbowroom.inference.evaluation.scalars import side_by_side
from elbowroom.inference.evaluation.weighted_draws import WeightedDraws, reduced, weighted_draws
from elbowroom.inference.evidence.quadrature.quadrature import QuadratureInfo
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.showing.numbers import flag_counts, flagged_first, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, Table
from elbowroom.inference.target import Target

GRID = 200
GRID_LEVELS = (torch.arange(GRID, dtype=torch.float64) + 0.5) / GRID
"""Mid-point probabilities at which every method's marginal quantile functions are compared."""


@dataclass(frozen=True, repr=False)
class Posterior(Shown):
    """Marginals of the latents of B data according to one method.

    Attributes:
        method: `"guide"`, `"importance"`, `"nuts"`, `"hmc"` or `"quadrature"`.
        mean, sd: `[B, N]`.
        mean_stderr: Monte Carlo (or numerical) error of the mean, `[B, N]`.
        grid: marginal quantiles at `GRID_LEVELS`, `[GRID, B, N]`.
        ess: number of independent draws that the marginals are worth, `[B]`; +∞ for exact ones.
        seconds: wall-clock time for all B data.
        evaluations: evaluations of log p(x, z) per datum (NUTS: of its gradient), `[B]`.
        flags: for each datum why its numbers should not be trusted, or an empty string.
    """

    method: str
    mean: Tensor
    sd: Tensor
    mean_stderr: Tensor
    grid: Tensor
    ess: Tensor
    seconds: float
    evaluations: Tensor
    flags: tuple[str, ...]

    def as_table(self) -> Table:
        """Mean and standard deviation of the latents of the data, flagged ones first."""
        num_data, num_latents = self.mean.shape
        rows = [
            (
                str(b),
                str(n),
                with_error(float(self.mean[b, n]), float(self.mean_stderr[b, n])),
                f"{float(self.sd[b, n]):.3f}",
                self.flags[b],
            )
            for b in flagged_first(self.flags)
            for n in range(num_latents)
        ]
        head = (f"the posterior of {num_data} data by {self.method}: marginals", *flag_counts(self.flags))
        columns = ("datum", "latent", "mean", "sd", "flag")
        return Table(head, columns, ">>>><", rows[:LINES], num_data * num_latents, "marginals")

    def quantiles(self, levels: Tensor) -> Tensor:
        """Marginal quantiles `[Q, B, N]`, interpolated between the grid's."""
        position = (levels * GRID - 0.5).clamp(0, GRID - 1)
        low = position.floor().long().clamp(max=GRID - 2)
        fraction = (position - low).reshape(-1, 1, 1)
        return self.grid[low] * (1 - fraction) + self.grid[low + 1] * fraction


def from_quadrature(exact: Estimate[QuadratureInfo], seconds: float) -> Posterior:
    """The exact posterior; `exact` must hold quantiles at `GRID_LEVELS`."""
    info = exact.info
    return Posterior(
        method="quadrature",
        mean=info["mean"],
        sd=info["sd"],
        mean_stderr=exact.stderr.unsqueeze(1) * info["sd"],
        grid=info["quantiles"],
        ess=torch.full_like(exact.value, torch.inf),
        seconds=seconds,
        evaluations=info["num_evaluations"],
        flags=exact.flags,
    )


def from_draws(draws: Draws) -> Posterior:
    """The posterior by MCMC, with its Monte Carlo errors."""
    convergence = draws.convergence
    return Posterior(
        method=draws.info["method"],
        mean=draws.mean.double().cpu(),
        sd=draws.sd.double().cpu(),
        mean_stderr=convergence.mcse_mean,
        grid=draws.quantiles(GRID_LEVELS).double().cpu(),
        ess=convergence.ess_bulk.amin(1),
        seconds=draws.info["seconds"],
        evaluations=draws.info["num_evaluations"],
        flags=draws.flags,
    )


def from_guide(target: Target, num_samples: int, seed: int) -> tuple[Posterior, Posterior, Tensor]:
    """The guide's own marginals, the same draws reweighted to the posterior, and the draws `[S, B, N]`.

    Self-normalised importance sampling: mean Σ w̄ z, its error √(Σ w̄² (z − mean)²) (Owen 2013, equation 9.9).
    """
    begin = time.perf_counter()
    z, log_w = _weighted_draws(target, num_samples, seed)
    plain = torch.full_like(log_w, 1 / num_samples)
    guide_seconds = time.perf_counter() - begin
    guide = _weighted("guide", z, plain, torch.zeros(z.shape[1], dtype=torch.long), ("",) * z.shape[1])
    flags = tuple(map(reasons, target.cautions, weights.tail_of(log_w).flags()))
    evaluations = torch.full((z.shape[1],), num_samples)
    reweighted = _weighted("importance", z, weights.normalized(log_w), evaluations, flags)
    return (
        _timed(guide, guide_seconds),
        _timed(reweighted, time.perf_counter() - begin),
        z,
    )


def _weighted_draws(target: Target, num_samples: int, seed: int) -> tuple[Tensor, Tensor]:
    columns = reduced(target, weighted_draws, plan(target, num_samples), num_samples, seed, _in_memory)
    z, log_w = (torch.cat(column, 1) for column in zip(*columns, strict=True))
    return z, log_w


def _in_memory(chunks: Iterator[WeightedDraws]) -> tuple[Tensor, Tensor]:
    """z `[S, B, N]` and log w `[S, B]`, float64 on the CPU."""
    pieces = [(side_by_side(drawn.z).double().cpu(), drawn.log_w.double().cpu()) for drawn in chunks]
    z, log_w = (torch.cat(piece) for piece in zip(*pieces, strict=True))
    return z, log_w


def _weighted(method: str, z: Tensor, w: Tensor, evaluations: Tensor, flags: tuple[str, ...]) -> Posterior:
    mean = (w.unsqueeze(-1) * z).sum(0)
    centred = z - mean
    order = z.argsort(0)
    values = z.gather(0, order)
    cumulative = w.unsqueeze(-1).expand_as(z).gather(0, order).cumsum(0)
    middle = (cumulative - w.unsqueeze(-1).expand_as(z).gather(0, order) / 2).permute(1, 2, 0).contiguous()
    wanted = GRID_LEVELS.expand(*middle.shape[:2], GRID).contiguous()
    place = torch.searchsorted(middle, wanted).clamp(max=len(z) - 1).permute(2, 0, 1)
    return Posterior(
        method=method,
        mean=mean,
        sd=(w.unsqueeze(-1) * centred**2).sum(0).sqrt(),
        mean_stderr=(w.unsqueeze(-1) ** 2 * centred**2).sum(0).sqrt(),
        grid=values.gather(0, place),
        ess=1 / w.square().sum(0),
        seconds=0.0,
        evaluations=evaluations,
        flags=flags,
    )


def _timed(posterior: Posterior, seconds: float) -> Posterior:
    return Posterior(**{**posterior.__dict__, "seconds": seconds})


def wasserstein(one: Posterior, other: Posterior) -> Tensor:
    """W₁ = ∫₀¹ |F⁻¹(p) − G⁻¹(p)| dp of each marginal, `[B, N]`, in units of the latent."""
    return (one.grid - other.grid).abs().mean(0)


def wasserstein_floor(reference: Posterior, ess: Tensor) -> Tensor:
    """The W₁ that `ess` independent draws of the reference itself would show on average, `[B, N]`.

    E |F̂⁻¹(p) − F⁻¹(p)| ≈ √(2/π) √(p(1 − p)/n) / f(F⁻¹(p)), averaged over p.
    """
    spacing = torch.gradient(reference.grid, dim=0)[0] * GRID  # 1 / density
    spread = (GRID_LEVELS * (1 - GRID_LEVELS)).sqrt().reshape(-1, 1, 1)
    return (2 / torch.pi) ** 0.5 * (spread * spacing).mean(0) / ess.unsqueeze(1).sqrt()
