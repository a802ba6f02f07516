"""Both sides of a comparison, in memory: draws of q and of the posterior, with the densities at them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import Plan, bytes_or_default, plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.scalars import by_site, side_by_side
from elbowroom.inference.evaluation.weighted_draws import in_chunks, weighted_draws
from elbowroom.inference.evidence.importance.streaming import Drawn, Reduction, Wanted
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.effective_size import effective_sample_size
from elbowroom.inference.target import Target

_COPIES = 12  # of the draws that are alive at once: sorted, centred, indicators, features
_ESS_BYTES = 2**23  # draws whose autocorrelation is taken at once; its work space is thirty times as much


@dataclass(frozen=True)
class Sides:
    """Draws of q and of the posterior of B data; float64 on the CPU, log densities in nats.

    Attributes:
        target: the programs on these data.
        index: which of all data they are.
        cells: points whose density may be evaluated at once.
        q: draws of the guide, `[S, B, N]`.
        log_q: log q(z | x) there, `[S, B]`.
        p: posterior draws, `[C, T, B, N]`.
        log_ratio: log p(x, z) − log q(z | x) at the posterior draws, `[C, T, B]`; NaN where q's density at a point is
            unknown.
        weights: the reduced importance weights of q's draws.
    """

    target: Target
    index: slice
    cells: int
    q: Tensor
    log_q: Tensor
    p: Tensor
    log_ratio: Tensor
    weights: Reduction

    @property
    def varying(self) -> Tensor:
        """Which latents are not constants of their support, `[N]`."""
        return self.target.varying

    @cached_property
    def q_sorted(self) -> Tensor:
        """Draws of the guide, each latent in ascending order, `[S, B, N]`."""
        return self.q.sort(0).values


def pieces(target: Target, draws: Draws, num_samples: int, seed: int, memory_bytes: int | None) -> Iterator[Sides]:
    """The data in pieces whose draws and work space fit the budget."""
    chunk_plan = plan(target, num_samples, memory_bytes)
    cells = chunk_plan.data_at_once * chunk_plan.samples_at_once
    if target.sliceable:
        data_at_once = min(chunk_plan.data_at_once, _data_at_once(draws, num_samples, memory_bytes))
        chunk_plan = replace(chunk_plan, data_at_once=data_at_once)
    for index, part in chunk_plan.data(target):
        with torch.no_grad():
            yield _drawn(part, draws, index, chunk_plan, cells, num_samples, seed)


def sorted_quantiles(ordered: Tensor, levels: Tensor) -> Tensor:
    """Quantiles `[Q, ...]` of values sorted along their first dim, interpolated (R's type 7)."""
    place = levels.to(ordered) * (len(ordered) - 1)
    low = place.floor().long().clamp(0, max(len(ordered) - 2, 0))
    fraction = (place - low).reshape(-1, *(1,) * (ordered.dim() - 1))
    return ordered[low] * (1 - fraction) + ordered[(low + 1).clamp(max=len(ordered) - 1)] * fraction


def scale_of(sd: Tensor, varying: Tensor) -> Tensor:
    """Standard deviations `[..., N]` to measure in: 1 of what a support makes constant, which differs by nothing."""
    return torch.where(varying, sd, 1.0)


def effective(values: Tensor) -> Tensor:
    """Effective sample sizes of chains `[C, T, B, ...]`, `[B, ...]`, a slice of the data at a time."""
    size = max(1, _ESS_BYTES // max(values[:, :, :1].numel() * 8, 1))
    return torch.cat([effective_sample_size(part) for part in values.split(size, 2)])


def share(indicator: Tensor, ess: Tensor) -> tuple[Tensor, Tensor]:
    """The share of draws `[C, T, B, ...]` that are marked, and its standard error, `[B, ...]` each.

    √(p̃ (1 − p̃) / n) with n the effective number of draws (`ess` where the indicator is always or never true and so
    shows no autocorrelation), and p̃ = (n p + ½)/(n + 1), so that zero out of n has an error of about 1/n.
    """
    values = indicator.double()
    p = values.mean((0, 1))
    n = torch.where((p == 0) | (p == 1), ess, effective(values))
    smooth = (n * p + 0.5) / (n + 1)
    return p, (smooth * (1 - smooth) / n).sqrt()


def _data_at_once(draws: Draws, num_samples: int, memory_bytes: int | None) -> int:
    """How many data's draws and work space fit the budget."""
    num_chains, length, _, num_latents = draws.flat.shape
    scalars = (num_chains * length + num_samples) * (num_latents + 4)
    fit = bytes_or_default(memory_bytes) // (8 * _COPIES * scalars)
    return max(1, min(fit, 2**24 // scalars))  # torch.quantile takes 2²⁴ numbers at most


def _drawn(part: Target, draws: Draws, index: slice, plan: Plan, cells: int, num_samples: int, seed: int) -> Sides:
    coordinates = Coordinates.of(part)
    z, log_q, reduction = [], [], None
    for drawn in in_chunks(part, weighted_draws, plan, num_samples, seed):
        reduction = reduction or Reduction.empty(drawn.log_w, num_samples, Wanted())
        reduction.add(Drawn(drawn.log_w, drawn.log_joint[1]))
        z.append(side_by_side(drawn.z).double().cpu())
        log_q.append(drawn.log_q.double().cpu())
    assert reduction is not None
    p = draws.flat[:, :, index].double().cpu()
    log_ratio = _log_ratio(coordinates, p, draws.stats["lp"][:, :, index], plan.samples_at_once)
    return Sides(part, index, cells, torch.cat(z), torch.cat(log_q), p, log_ratio, reduction)


def _log_ratio(coordinates: Coordinates, p: Tensor, lp: Tensor, samples: int) -> Tensor:
    """log p(x, z) − log q(z | x) at posterior draws, `[C, T, B]`; where z = u the sampler has kept the first term."""
    target, ratios = coordinates.target, []
    draws, log_joint = p.flatten(0, 1), lp.double().cpu().flatten(0, 1)
    try:
        for z, kept in zip(draws.split(samples), log_joint.split(samples), strict=True):
            values = by_site(target, z)
            log_p = kept if coordinates.real else sum(target.log_joint(values)).double().cpu()  # type: ignore[union-attr]
            ratios.append(log_p - target.log_guide(values).double().cpu())
    except NotImplementedError:  # a guide whose density at a point is unknown
        return torch.full(p.shape[:3], torch.nan, dtype=torch.float64)
    return torch.cat(ratios).reshape(p.shape[:3])
