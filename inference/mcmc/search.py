"""Where a posterior is, from draws of guide and prior alone: starts for chains and points for a first proposal."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.coordinates import Coordinates
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.population import NUM_POINTS, Population, from_guide, from_mixture, from_prior
from elbowroom.inference.mcmc.streams import Streams

STARTS = ("both", "guide", "prior")
_NUM_GUIDE, _NUM_PRIOR = 128, 256
_ROUNDS = 2


@dataclass(frozen=True)
class Found:
    """What the search knows.

    Attributes:
        points: of the posterior, as far as it was found, `[256, B, D]`.
        ess: how many of them there are in effect, `[B]`.
        scale: standard deviation of each coordinate, `[B, D]`.
        starts: where the chains begin, `[C, B, D]`.
        evaluations: of log p(x, z), for each datum.
    """

    points: Tensor
    ess: Tensor
    scale: Tensor
    starts: Tensor
    evaluations: int

    def improved(self, population: Population, uniform: Tensor) -> "Found":
        """Take over the population's points for the data where it has more of them in effect."""
        better = population.ess > self.ess
        points = torch.where(better.unsqueeze(-1), population.resampled(NUM_POINTS, uniform), self.points)
        ess = torch.where(better, population.ess, self.ess)
        return Found(points, ess, self.scale, self.starts, self.evaluations + len(population.u))


def search(
    coordinates: Coordinates, log_joint: Callable[[Tensor], Tensor], streams: Streams, num_chains: int, start: str
) -> Found:
    """Weigh draws of guide and prior, fit a mixture to them, weigh its draws, and once more.

    Population Monte Carlo (Cappé et al. 2004); chains start at plain draws of the guide (even ones) and at the prior's
    best draws in random order of merit (odd ones), so that they start apart.

    Raises:
        ValueError: if neither guide nor prior can be drawn from.
    """
    guide = from_guide(coordinates, _NUM_GUIDE, streams.seed) if start != "prior" else None
    prior = _from_prior(coordinates, streams, start)
    pools = [pool for pool in (guide, prior) if pool is not None]
    population = pools[0] if len(pools) == 1 else pools[0].joined(pools[1])
    spread = torch.stack([pool.u.std(0) for pool in pools]).amin(0)
    found = Found(
        points=population.resampled(NUM_POINTS, streams.uniform("search", 1)[0]),
        ess=population.ess,
        scale=spread.clamp_min(torch.finfo(spread.dtype).tiny ** 0.25),
        starts=_starts(guide, prior, streams, num_chains),
        evaluations=len(population.u),
    )
    for r in range(_ROUNDS):
        mixture = Mixture.fit(found.points)
        population = from_mixture(mixture, streams, f"search {r}", NUM_POINTS, log_joint)
        found = found.improved(population, streams.uniform(f"search {r}: resample", 1)[0])
    believed = (found.ess > 2.0 * (coordinates.dim + 1)).unsqueeze(-1)
    scale = torch.where(believed, found.points.std(0).clamp_min(1e-3 * found.scale), found.scale)
    return Found(found.points, found.ess, scale, found.starts, found.evaluations)


def _from_prior(coordinates: Coordinates, streams: Streams, start: str) -> Population | None:
    if start == "guide":
        return None
    try:
        return from_prior(coordinates, _NUM_PRIOR, streams.seed)
    except NotImplementedError:  # a prior that has a density but cannot be drawn from
        if start == "prior":
            raise
        return None


def _starts(guide: Population | None, prior: Population | None, streams: Streams, num_chains: int) -> Tensor:
    """Positions `[C, B, D]`."""
    columns = []
    for c in range(num_chains):
        from_the_guide = prior is None or (guide is not None and c % 2 == 0)
        columns.append((guide if from_the_guide else prior, c))
    order = {id(pool): _merit(pool, streams, pool is guide) for pool in (guide, prior) if pool is not None}
    picked = []
    for pool, c in columns:
        assert pool is not None
        index = order[id(pool)][c % len(pool.u)].expand(1, -1).unsqueeze(-1)
        picked.append(pool.u.gather(0, index.expand(1, *pool.u.shape[1:])))
    return torch.cat(picked)


def _merit(pool: Population, streams: Streams, plain: bool) -> Tensor:
    """An order of the pool's points, `[M, B]`: their own (those of weight zero last), or random by weight (Gumbel)."""
    if plain:
        return pool.log_w.isneginf().to(torch.int8).argsort(dim=0, stable=True)
    uniform = streams.uniform("merit", len(pool.u)).clamp(1e-12, 1 - 1e-12)
    return (pool.log_w - (-uniform.log()).log()).argsort(0, descending=True)
