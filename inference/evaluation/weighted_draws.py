"""Draws of the guide with their densities: all samples of some data, then of the next, within a byte budget."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.target import Target

D = TypeVar("D")
R = TypeVar("R")

Sampler = Callable[[Target, int, int, int], D]
"""(target, number of samples, seed, index of the first sample) -> what is drawn."""


@dataclass(frozen=True)
class WeightedDraws:
    """S' samples of the guide for each of B' data; log densities are `[S', B']`, nats.

    Attributes:
        target: the programs on these data.
        start: index of the first sample: the noise is a function of (seed, datum, index).
        z: site -> values, `[S', B', *event]`.
        log_q: log q(z | x).
    """

    target: Target
    start: int
    z: dict[str, Tensor]
    log_q: Tensor

    @property
    def num_samples(self) -> int:
        """S'."""
        return len(self.log_q)

    @cached_property
    def log_joint(self) -> tuple[Tensor, Tensor]:
        """(log p(z), log p(x | z)); the model runs when they are first asked for."""
        return self.target.log_joint(self.z)

    @property
    def log_w(self) -> Tensor:
        """log w = log p(x, z) − log q(z | x)."""
        prior, likelihood = self.log_joint
        return prior + likelihood - self.log_q


def weighted_draws(target: Target, num_samples: int, seed: int, start: int) -> WeightedDraws:
    """The samples `start`, `start` + 1, … of the guide."""
    z, log_q = target.propose(num_samples, seed=seed, start=start)
    return WeightedDraws(target, start, z, log_q)


def in_chunks(target: Target, sampler: Sampler[D], plan: Plan, num_samples: int, seed: int) -> Iterator[D]:
    """All S samples of all data of a target, as many samples at a time as the plan allows."""
    for start, count in plan.sample_ranges(num_samples):
        yield sampler(target, count, seed, start)


@torch.no_grad()
def reduced(
    target: Target, sampler: Sampler[D], plan: Plan, num_samples: int, seed: int, reduce: Callable[[Iterator[D]], R]
) -> Iterator[R]:
    """What `reduce` makes of the chunks of each piece of the data, one piece after the other, without gradients.

    Args:
        target: programs and data.
        sampler: what is drawn: `weighted_draws`, or another.
        plan: how many data and samples are drawn at a time.
        num_samples: S.
        seed: of the draws.
        reduce: chunks of all S samples of some data -> a result.
    """
    for _, part in plan.data(target):
        yield reduce(in_chunks(part, sampler, plan, num_samples, seed))
