"""Proposals that posterior draws are bridged to: a mixture of Gaussians, one Gaussian, or the guide."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.mixture import Mixture

_FIRST = 1 << 47  # sample index of the guide's draws: no other estimator reads the random numbers there
_APART = 1 << 40  # sample indices between those of two splits of the chains
_QUICK = 4  # iterations of fitting where the bridge only has to be compared with another


class Proposal(NamedTuple):
    """A density g with draws.

    Attributes:
        draws: v_j, `[N, B, D]`, float64.
        log_density: u `[N, B, D]` to log g(u) `[N, B]`, nats.
        dtype: the dtype that `log_density` takes u in.
    """

    draws: Tensor
    log_density: Callable[[Tensor], Tensor]
    dtype: torch.dtype


Make = Callable[[Coordinates, Tensor, int, int, Plan, int], Proposal]
"""(coordinates, posterior draws `[M, B, D]`, number of draws N, seed, plan, split of the chains) -> proposal."""


def mixture(
    coordinates: Coordinates, points: Tensor, num_draws: int, seed: int, plan: Plan, split: int = 0
) -> Proposal:
    """A mixture of Gaussians fitted to the points, of each datum by itself."""
    return _fitted(coordinates, points, num_draws, seed, split, num_components=None)


def gaussian(
    coordinates: Coordinates, points: Tensor, num_draws: int, seed: int, plan: Plan, split: int = 0
) -> Proposal:
    """One Gaussian fitted to the points."""
    return _fitted(coordinates, points, num_draws, seed, split, num_components=1)


def guide(coordinates: Coordinates, points: Tensor, num_draws: int, seed: int, plan: Plan, split: int = 0) -> Proposal:
    """The guide, whatever the points are.

    Raises:
        ValueError: if its density at a given point is unknown.
    """
    target = coordinates.target
    try:
        coordinates.log_guide(points[:1].to(target.dtype))
    except NotImplementedError as error:
        raise ValueError(
            f"proposal='guide' needs the guide's density at any point, which this guide does not have ({error}). Use "
            "proposal='mixture'."
        ) from error
    first = _FIRST + split * _APART
    draws = [
        coordinates.unconstrain(target.propose(size, seed=seed, start=first + start)[0])
        for start, size in plan.sample_ranges(num_draws)
    ]
    return Proposal(torch.cat(draws).double(), coordinates.log_guide, target.dtype)


PROPOSALS: dict[str, Make] = {"mixture": mixture, "gaussian": gaussian, "guide": guide}


def _fitted(
    coordinates: Coordinates, points: Tensor, num_draws: int, seed: int, split: int, num_components: int | None
) -> Proposal:
    """Points are float64 whatever the programs are, and so are a fitted density and its draws."""
    fitted = Mixture.fit(points, num_components, *((_QUICK,) if split else ()))
    numbers, start = RandomNumbers(coordinates.target, seed), split * _APART
    draws = fitted.sample(
        numbers.normal("bridge normal", num_draws, coordinates.dim, start).double(),
        numbers.uniform("bridge component", num_draws, start),
        numbers.uniform("bridge width", num_draws, start),
    )
    return Proposal(draws, fitted.log_density, torch.float64)
