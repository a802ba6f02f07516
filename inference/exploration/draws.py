"""Draws of q and of Markov chains, in the unconstrained coordinates of some data."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import cells_within
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.scalars import by_site
from elbowroom.inference.mcmc.hmc import hmc
from elbowroom.inference.target import Target

NUM_CHAINS, NUM_WARMUP, NUM_DRAWS = 4, 200, 500


@dataclass(frozen=True)
class Cloud:
    """Draws of some data.

    Attributes:
        guide: of q, `[S, B, D]`.
        posterior: of chains, `[C · T, B, D]`; None where they cannot be run.
        doubts: for each datum why the chains are no reference, or an empty string.
    """

    guide: Tensor
    posterior: Tensor | None
    doubts: tuple[str, ...]

    def posterior_of(self, b: int) -> Tensor | None:
        """The draws `[C · T, D]` of one datum's chains, if they passed their gates."""
        return None if self.posterior is None or self.doubts[b] else self.posterior[:, b]


def cloud(coordinates: Coordinates, guide: Tensor, seed: int, memory_bytes: int | None) -> Cloud:
    """Draws of q, `[S, B, D]`, and of chains for all data of the coordinates."""
    target = coordinates.target
    if target.no_gradient:
        return Cloud(guide, None, (target.no_gradient,) * len(target))
    draws = hmc(
        target, num_chains=NUM_CHAINS, num_warmup=NUM_WARMUP, num_draws=NUM_DRAWS, seed=seed, memory_bytes=memory_bytes
    )
    posterior = unconstrained(coordinates, draws.flat.flatten(0, 1))
    return Cloud(guide, posterior, draws.flags)


def guide_draws(coordinates: Coordinates, num_samples: int, seed: int, memory_bytes: int | None) -> Iterator[Tensor]:
    """Draws of q `[s, B, D]`, some samples at a time."""
    size = samples_within(coordinates.target, memory_bytes)
    for start in range(0, num_samples, size):
        with torch.no_grad():
            z, _ = coordinates.target.propose(min(size, num_samples - start), seed=seed, start=start)
            yield coordinates.unconstrain(z).double().cpu()


def unconstrained(coordinates: Coordinates, z: Tensor, size: int = 256) -> Tensor:
    """u of latents side by side `[S, B, N]`, `[S, B, D]`."""
    if coordinates.real:
        return z.double().cpu()
    with torch.no_grad():
        pieces = [coordinates.unconstrain(by_site(coordinates.target, part)) for part in z.split(size)]
    return torch.cat(pieces).double().cpu()


def samples_within(target: Target, memory_bytes: int | None, copies: int = 2) -> int:
    """How many samples of all data of a target the byte budget holds at once."""
    return max(1, cells_within(target, memory_bytes, copies) // len(target))
