"""A Gaussian of each datum, fitted from the guide's output on, as a proposal.

    q(u) = ⅓ Σ_j N(u; m, s_j² L Lᵀ),    s_j = 1 + 0.7 j / √D, j = 0, 1, 2

with m and L of the largest ELBO. That Gaussian is narrower than the posterior, so it is widened.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evidence.bracket.particles import LOOKED, Particles
from elbowroom.inference.evidence.bracket.recording import Recording
from elbowroom.inference.evidence.bracket.sizes import NUM_BOLD, NUM_FITTED, NUM_PARTICLES, NUM_POINTS
from elbowroom.inference.evidence.bracket.work import no_value
from elbowroom.inference.evidence.bridge.both_sides import Proposal
from elbowroom.inference.families.family import Family
from elbowroom.inference.families.fitting import fit_family
from elbowroom.inference.families.from_guide import read_guide
from elbowroom.inference.families.of_data import density_of

_WIDER = 0.7  # of √(1 / D): a Gaussian that is wider by so much in each direction is half a nat away


@dataclass(frozen=True)
class Refined:
    """The proposals of some data.

    Attributes:
        family: the Gaussians before they are widened.
        particles: particles from the prior, under the proposals.
    """

    family: Family
    particles: Particles

    def proposal(self, where: slice, name: str) -> Proposal:
        """The proposal of some of the data; `name` tells its random numbers from those of other uses."""
        family = self.family.select(torch.arange(len(self.family))[where])

        def draw(numbers: RandomNumbers, num_samples: int, start: int) -> tuple[Tensor, Tensor]:
            noise = numbers.normal(f"refined: {name}", num_samples, family.dim, start)
            widths = _widths(family.dim).to(noise)
            chosen = (len(widths) * numbers.uniform(f"refined: {name}: width", num_samples, start)).long()
            noise = noise * widths[chosen.clamp(max=len(widths) - 1)].unsqueeze(-1)
            member = Family(*(t.to(noise) for t in family.tensors))
            return member.at(noise.unsqueeze(2)).squeeze(2), _log_density(member, noise)

        return draw

    def doubts(self, lower: Estimate) -> tuple[str, ...]:
        """None beside those of the particles."""
        return ("",) * len(lower)

    def looked(self) -> tuple[Estimate, tuple[str, ...]]:
        """Particles that each went their own way know no log p(x)."""
        return no_value(len(self.family)), (LOOKED,) * len(self.family)

    def select(self, data: Tensor) -> "Refined":
        """Those of some of the data."""
        return Refined(self.family.select(data), self.particles.select(data))


def refine(recording: Recording, seed: int, memory_bytes: int | None) -> Refined:
    """Fit a Gaussian to each datum from the guide's output on, and send particles from the prior.

    Raises:
        NotImplementedError: if the prior cannot be drawn from.
    """
    pieces = [_refine(part, seed) for part in recording.parts(max(NUM_PARTICLES, NUM_POINTS), memory_bytes)]
    family = Family(*(torch.cat(tensors) for tensors in zip(*(p.family.tensors for p in pieces), strict=True)))
    return Refined(family, Particles.joined([piece.particles for piece in pieces]))


def _refine(recording: Recording, seed: int) -> Refined:
    densities, path, coordinates = recording.densities, recording.path, recording.coordinates
    numbers = RandomNumbers(coordinates.target, seed)
    at = Particles.sent(path, seed)
    points = NUM_POINTS if coordinates.dim <= NUM_POINTS else 2 * NUM_POINTS
    fitted = fit_family(
        lambda data: density_of(densities, data),
        numbers,
        read_guide(coordinates, seed).family.full(),
        "refined",
        num_steps=NUM_FITTED,
        num_bold=NUM_BOLD,
        num_points=points,
    ).family

    def log_density(u: Tensor) -> Tensor:
        return _log_density(fitted, fitted.whitened(u.double()).squeeze(2))

    return Refined(fitted, Particles.under(log_density, path, at))


def _widths(dim: int) -> Tensor:
    """s_j, `[3]`."""
    return 1 + _WIDER / dim**0.5 * torch.arange(3, dtype=torch.float64)


def _log_density(family: Family, noise: Tensor) -> Tensor:
    """log q(m + L ε), `[S, B]`, nats, at ε `[S, B, D]`."""
    dim, widths = noise.shape[-1], _widths(noise.shape[-1]).to(noise)
    distance = noise.square().sum(-1, keepdim=True)
    parts = -0.5 * distance / widths.square() - dim * widths.log()
    constant = math.log(len(widths)) + 0.5 * dim * math.log(2 * math.pi)
    return parts.logsumexp(-1) - constant - family.log_det.squeeze(1)
