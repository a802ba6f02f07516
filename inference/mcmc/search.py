"""Where is the posterior? Points of it and starts for chains, from draws of the guide and from the prior."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.expedition import LEAST_DIM, Expedition, explore
from elbowroom.inference.mcmc.metric import fit_scale, rounded
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.mcmc.population import NUM_POINTS, Population, from_guide, from_mixture, from_prior

STARTS = ("both", "guide", "prior")
"""Where chains may start."""

_NUM_GUIDE, _NUM_PRIOR = 128, 256  # draws that are weighed first
_ROUNDS = {False: 3, True: 2}  # of fitting a mixture and weighing its draws, without and with an expedition
_THEIRS = 8  # one in so many points stays the expedition's

BELIEVED = 64.0
"""Points in effect from which on a population is believed; with fewer, its weights are tempered."""


@dataclass(frozen=True)
class PosteriorPoints:
    """Points of each datum's posterior, as far as the search has got.

    Attributes:
        points: points of equal weight, `[512, B, D]`.
        ess: the effective number of points that they were drawn from, `[B]`.
        scale: standard deviations, `[B, D]`, or Cholesky factors of the covariance, `[B, D, D]`.
        evaluations: of log p(x, z), for each datum.
    """

    points: Tensor
    ess: Tensor
    scale: Tensor
    evaluations: int

    def improved(self, population: Population, uniform: Tensor) -> "PosteriorPoints":
        """Take over the population's points for the data where it has more of them in effect."""
        better = population.ess > self.ess
        resampled = population.tempered(BELIEVED).resampled(NUM_POINTS, uniform)
        points = torch.where(better.unsqueeze(-1), resampled, self.points)
        ess = torch.where(better, population.ess, self.ess)
        return replace(self, points=points, ess=ess, evaluations=self.evaluations + len(population.u))


@dataclass(frozen=True)
class Found:
    """What a search ends with.

    Attributes:
        points: points of the posterior.
        starts: where the chains begin, `[C, B, D]`.
        expedition: what was found from the prior alone; None where none was sent.
    """

    points: PosteriorPoints
    starts: Tensor
    expedition: Expedition | None


def search(
    coordinates: Coordinates,
    log_joint: Callable[[Tensor], Tensor],
    numbers: RandomNumbers,
    *,
    num_chains: int,
    start: str,
    path: Path | None = None,
) -> Found:
    """Weigh draws of guide and prior, fit a mixture to them, weigh its draws, and again: population Monte Carlo.

    Where there are more than two coordinates an expedition is sent from the prior, and its particles are half of what
    the first mixture is fitted to; an eighth of the points of each later one are theirs, so that a mode which the guide
    does not know keeps a component. They are left out where they weigh nothing beside what the guide shows, or beside
    the first mixture: particles that never arrived would spoil it.

    Args:
        coordinates: the target's.
        log_joint: log density of u.
        numbers: the random numbers.
        num_chains: C.
        start: `"guide"`, `"prior"` or `"both"`: which draws are weighed first.
        path: from the prior to the joint, for the expedition; None sends none.

    Source: Cappé, Guillin, Marin & Robert (2004), "Population Monte Carlo".
    """
    guide = from_guide(coordinates, _NUM_GUIDE, numbers.seed) if start != "prior" else None
    expedition = _expedition(path, numbers, log_joint, start)
    if expedition is not None and guide is not None:
        expedition = expedition.beside(guide.log_mean()[0])
    pools = [pool for pool in (guide, _pool(coordinates, numbers, start, expedition)) if pool is not None]
    spread = torch.stack([pool.u.std(0) for pool in pools]).amin(0)
    spread = spread.clamp_min(torch.finfo(spread.dtype).tiny ** 0.25)
    best = _first(guide, pools, expedition, numbers, spread)
    for r in range(_ROUNDS[expedition is not None]):
        mixture = Mixture.fit(best.points)
        population = from_mixture(mixture, numbers, f"search {r}", NUM_POINTS, log_joint)
        if expedition is not None and r == 0:
            expedition = expedition.beside(population.log_mean()[0])
        best = best.improved(population, numbers.uniform(f"search {r}: resample", 1)[0])
        best = replace(best, points=with_particles(best.points, expedition))
    starts = _starts(guide, best.points, spread, num_chains, apart=start != "guide")
    return Found(replace(best, scale=_scale(best)), starts, expedition)


def with_particles(points: Tensor, expedition: Expedition | None) -> Tensor:
    """The points `[512, B, D]` with an eighth of them the expedition's, for the data where it is heard."""
    if expedition is None:
        return points
    place = torch.arange(len(points), device=points.device)
    theirs = (place % _THEIRS == _THEIRS // 2).unsqueeze(1) & expedition.heard  # [512, B]
    particles = expedition.particles[place // 2 % len(expedition.particles)]
    return torch.where(theirs.unsqueeze(-1), particles, points)


def _expedition(
    path: Path | None, numbers: RandomNumbers, log_joint: Callable[[Tensor], Tensor], start: str
) -> Expedition | None:
    if path is None or start == "guide" or path.coordinates.dim < LEAST_DIM:
        return None
    try:
        return explore(path, numbers, log_joint)
    except NotImplementedError:  # a prior that has a density but cannot be drawn from
        if start == "prior":
            raise
        return None


def _pool(
    coordinates: Coordinates, numbers: RandomNumbers, start: str, expedition: Expedition | None
) -> Population | None:
    """What is known without the guide: the expedition's particles, or weighed draws of the prior."""
    if expedition is not None:
        return Population(expedition.particles, torch.zeros_like(expedition.particles[..., 0]))
    return _from_prior(coordinates, numbers, start)


def _first(
    guide: Population | None,
    pools: list[Population],
    expedition: Expedition | None,
    numbers: RandomNumbers,
    spread: Tensor,
) -> PosteriorPoints:
    """The points that the first mixture is fitted to."""
    uniform = numbers.uniform("search", 1)[0]
    evaluations = sum(len(pool.u) for pool in pools)
    if expedition is None:
        population = pools[0] if len(pools) == 1 else pools[0].joined(pools[1])
        points = population.tempered(BELIEVED).resampled(NUM_POINTS, uniform)
        return PosteriorPoints(points, population.ess, spread, evaluations)
    points = expedition.particles[torch.arange(NUM_POINTS, device=spread.device) // 2 % len(expedition.particles)]
    if guide is not None:
        place = torch.arange(NUM_POINTS, device=spread.device).unsqueeze(1)
        theirs = (place % 2 == 1) & expedition.heard
        points = torch.where(~theirs.unsqueeze(-1), guide.tempered(BELIEVED).resampled(NUM_POINTS, uniform), points)
    nothing = torch.zeros_like(spread[:, 0])  # weights of two samples are not compared: their mixture's own will say
    return PosteriorPoints(points, nothing, spread, evaluations + expedition.evaluations)


def _scale(best: PosteriorPoints) -> Tensor:
    """The points' own scale where there are enough of them in effect, else the spread that the search began with."""
    learned = rounded(fit_scale(best.points, best.ess))
    if learned.dim() == 2:
        return torch.where((best.ess >= BELIEVED).unsqueeze(-1), learned, best.scale)
    believed = (best.ess >= BELIEVED)[:, None, None]
    return torch.where(believed, learned, torch.diag_embed(best.scale))


def _from_prior(coordinates: Coordinates, numbers: RandomNumbers, start: str) -> Population | None:
    if start == "guide":
        return None
    try:
        return from_prior(coordinates, _NUM_PRIOR, numbers.seed)
    except NotImplementedError:  # a prior that has a density but cannot be drawn from
        if start == "prior":
            raise
        return None


def _starts(guide: Population | None, points: Tensor, spread: Tensor, num_chains: int, apart: bool) -> Tensor:
    """Positions `[C, B, D]`: draws of the guide by turns with the point that is farthest from all starts so far.

    The farthest ones sit in other modes, if the points reach any, so that chains which cannot cross over disagree.
    """
    every = torch.arange(points.shape[1], device=points.device)
    starts: list[Tensor] = []
    nearest = torch.full_like(points[..., 0], torch.inf)  # squared distance to the nearest start, [M, B]
    for c in range(num_chains):
        if guide is not None and (c % 2 == 0 or not apart):
            start = guide.u[_sound_first(guide)[c % len(guide.u)], every]
        else:
            start = points[nearest.argmax(0), every]
        starts.append(start)
        distance = ((points - start) / spread).square().sum(-1)
        nearest = torch.minimum(nearest, distance.nan_to_num(0.0))
    return torch.stack(starts)


def _sound_first(pool: Population) -> Tensor:
    """The pool's order with points of weight zero last, `[M, B]`."""
    return pool.log_w.isneginf().to(torch.int8).argsort(dim=0, stable=True)
