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
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evidence.bracket.particles import Particles
from elbowroom.inference.evidence.bracket.recording import Recording
from elbowroom.inference.evidence.bracket.work import weakly_seen
from elbowroom.inference.evidence.bridge.both_sides import Proposal, from_mixture
from elbowroom.inference.evidence.second_opinion import OpinionInfo, doubts_of_descendants
from elbowroom.inference.mcmc.expedition import NUM_PARTICLES
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.search import search


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


def populate(recording: Recording, seed: int, memory_bytes: int | None) -> Populations:
    """Search for the posterior of each datum, and fit a mixture to what was found.

    Raises:
        NotImplementedError: if the prior cannot be drawn from.
    """
    pieces = [_populate(part, seed) for part in recording.parts(NUM_PARTICLES, memory_bytes)]
    points, columns, at = zip(*pieces, strict=True)
    mixture = Mixture.fit(torch.cat(points, 1))
    seen = Particles.under(mixture.log_density, recording.path, torch.cat(at, 1))
    return Populations(mixture, _opinion(columns), seen)


def _populate(recording: Recording, seed: int) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """Points of the posteriors, what the opinion is made of, and where further particles from the prior end."""
    densities, path, coordinates = recording.densities, recording.path, recording.coordinates
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
