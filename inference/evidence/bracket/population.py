"""A mixture of each datum, fitted to weighed draws of guide and prior, as a proposal: what chains would begin with.

Population Monte Carlo (Cappé, Guillin, Marin & Robert 2004) of `mcmc/search.py`: half of the points that the first
mixture is fitted to come from the guide, half are particles that were tempered from the prior and never saw it. Up to
some sixteen latents the last mixture covers the posterior so evenly that chains would add nothing. What was resampled
on the way may have lost a mode, so a few particles more go their own ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.budget import cells_within, plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.evidence.bracket.particles import Particles
from elbowroom.inference.evidence.bracket.work import weakly_seen
from elbowroom.inference.evidence.bridge.both_sides import Proposal, from_mixture
from elbowroom.inference.evidence.second_opinion import OpinionInfo, doubts_of_descendants
from elbowroom.inference.mcmc.expedition import NUM_PARTICLES
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.mcmc.search import search
from elbowroom.inference.programs.evaluations import GRADIENT
from elbowroom.inference.target import Target


@dataclass(frozen=True)
class Populations:
    """The proposals of some data, and what was found from the prior alone.

    Attributes:
        mixture: the proposals.
        opinion: log p(x) by a mixture that was fitted to what was tempered from the prior alone.
        particles: others from the prior, never resampled, under the proposals.
    """

    mixture: Mixture
    opinion: Estimate[OpinionInfo]
    particles: Particles

    def proposal(self, where: slice, name: str) -> Proposal:
        """The proposal of some of the data; `name` tells its random numbers from those of other uses."""
        return from_mixture(self.mixture.select(torch.arange(len(self.opinion))[where]), f"population: {name}")

    def doubts(self, lower: Estimate) -> tuple[str, ...]:
        """Where the opinion has more than `lower`, or knows of too many modes, in words, or nothing."""
        return tuple(doubts_of_descendants(lower, self.opinion))

    def looked(self) -> tuple[Estimate, tuple[str, ...]]:
        """The opinion, and where it rests on few draws in effect."""
        return self.opinion, weakly_seen(self.opinion.info["ess"])

    def select(self, data: Tensor) -> "Populations":
        """Those of some of the data."""
        opinion, info = self.opinion, self.opinion.info
        chosen: OpinionInfo = {
            "ess": info["ess"][data],
            "is_crowded": info["is_crowded"][data],
            "num_evaluations": info["num_evaluations"],
        }
        theirs = Estimate(opinion.value[data], opinion.stderr[data], "lower", chosen)
        return Populations(self.mixture.select(data), theirs, self.particles.select(data))


def populate(target: Target, seed: int, memory_bytes: int | None) -> Populations:
    """Search for the posterior of each datum, and fit a mixture to what was found.

    Raises:
        NotImplementedError: if the prior cannot be drawn from.
    """
    coordinates = Coordinates.of(target)
    at_once = plan(target, NUM_PARTICLES, memory_bytes, gradients=True).data_at_once
    densities = Densities.of(coordinates, cells_within(target, memory_bytes), record=False)  # it is over before one
    path = Path(coordinates, "prior", record=False, cells=cells_within(target, memory_bytes, copies=GRADIENT))
    parts = torch.arange(len(target)).chunk(-(-len(target) // at_once)) if target.sliceable else [None]
    every = [densities if data is None else densities.at(coordinates.at(data)) for data in parts]
    pieces = [_populate(part, path.on(part.coordinates.target), seed) for part in every]
    points, columns, at = zip(*pieces, strict=True)
    mixture = Mixture.fit(torch.cat(points, 1))
    return Populations(mixture, _opinion(columns), Particles.under(mixture.log_density, path, torch.cat(at, 1)))


def _populate(densities: Densities, path: Path, seed: int) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """Points of the posteriors, what the opinion is made of, and where further particles from the prior end."""
    coordinates = densities.coordinates
    numbers = RandomNumbers(coordinates.target, seed)
    with torch.no_grad():
        found = search(coordinates, densities.log_joint, numbers, num_chains=1, start="both", path=path)
    seen = found.expedition
    if seen is None:
        raise NotImplementedError("the prior cannot be drawn from")
    ess = torch.where(seen.heard, seen.ess, 0.0)  # else it found nothing
    columns = seen.log_evidence, seen.stderr, ess, seen.is_crowded & seen.heard
    return found.points.points, columns, Particles.sent(path, seed)


def _opinion(pieces: Sequence[tuple[Tensor, ...]]) -> Estimate[OpinionInfo]:
    value, stderr, ess, crowded = (torch.cat(column).cpu() for column in zip(*pieces, strict=True))
    return Estimate(value, stderr, "lower", {"ess": ess, "is_crowded": crowded, "num_evaluations": 0})
