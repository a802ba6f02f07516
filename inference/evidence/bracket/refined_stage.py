"""The stage of a bracket that fits a Gaussian to each datum and weighs it, with as many draws as settle it."""

import math

import torch
from torch import Tensor

from elbowroom.inference.estimate import NORMAL_95, Estimate
from elbowroom.inference.evidence.bracket.choice import EARLIER, EXPEDITION, PARTICLES, REFINED, choose, width
from elbowroom.inference.evidence.bracket.refined import Refined, refine
from elbowroom.inference.evidence.bracket.sizes import GROWTH, NUM_ADAPTED, NUM_PARTICLES, NUM_TRIED
from elbowroom.inference.evidence.bracket.work import BLIND, Work, fitting, joined, no_value
from elbowroom.inference.evidence.bridge.both_sides import both_sides_of
from elbowroom.inference.evidence.second_opinion import MOST_LATENTS

FEWEST_REFINED = MOST_LATENTS + 1
"""Scalar latents from which on a Gaussian is refined: with fewer, chains and their search cost little."""

_LOOKED = f"modes far from the guide were looked for by {NUM_PARTICLES} particles from the prior"

_FINER, _MARGIN = 1.5, 1.1
_NUMBERS = tuple(int(NUM_TRIED * _FINER**k) for k in range(1, 11))
"""Draws of a refined Gaussian: as many as settle a datum, by what fewer of them say."""

_MOST_DRAWS = (_NUMBERS[6], _NUMBERS[-1], _NUMBERS[-1])  # in each round, the first of which knows little


def by_refined(work: Work, data: Tensor, effort: float) -> None:
    """Fit a Gaussian to each datum and weigh it from both sides, with as many draws as a few of them say are needed."""
    part, seed, pace = work.part(data), work.seed, work.pace
    with pace.timed("refined", len(data), effort):
        try:
            refined = refine(part, seed, work.memory_bytes)
        except NotImplementedError:  # a prior that has a density but cannot be drawn from: nothing would be seen
            for name in REFINED:
                work.ledger.put(name, data, no_value(len(data)), (BLIND,) * len(data))
            return
        tried = _weigh_refined(work, data, refined, NUM_TRIED)
    work.ledger.put(EXPEDITION, data, no_value(len(data)), (_LOOKED,) * len(data))
    with pace.clock.forgiving():
        _settle_refined(work, data, refined, tried.info["delta_stderr"].cpu())


def _settle_refined(work: Work, data: Tensor, refined: Refined, error: Tensor) -> None:
    """Weigh as many draws as the error `[b]` of a few says are needed, and again as their own error says."""
    made, length = torch.full_like(error, NUM_TRIED), 2 * NORMAL_95 * _MARGIN * error
    for most in _MOST_DRAWS:
        wanted = (made * (length / work.tolerance).square()).clamp(max=most)
        for size in _NUMBERS:
            some = ~work.is_settled(data) & (wanted <= size) & (wanted > size / _FINER) & (made < size)
            places, within = fitting(work, "refined weights", _whole(work, some), math.log(size / NUM_ADAPTED, GROWTH))
            number = round(NUM_ADAPTED * GROWTH**within)
            if len(places) and number > made[places].max():
                with work.pace.timed("refined weights", len(places), within):
                    _weigh_refined(work, data[places], refined.select(places), number)
                made[places] = float(number)
        length = _MARGIN * width(choose(work.ledger, REFINED[:1]), choose(work.ledger, REFINED[1:]))[data]


def _whole(work: Work, chosen: Tensor) -> Tensor:
    """Where `chosen` `[b]` is true; everywhere, if anywhere, for programs that cannot be given part of their data."""
    return (chosen if work.target.sliceable else chosen.any().expand_as(chosen)).nonzero().flatten()


def _weigh_refined(work: Work, data: Tensor, refined: Refined, num_samples: int) -> Estimate:
    """Weigh draws of the refined Gaussians from both sides; the lower one."""
    sides = both_sides_of(
        work.part(data),
        lambda _, where: refined.proposal(where, str(num_samples)),
        num_samples,
        work.seed,
        work.memory_bytes,
    )
    missed = refined.missed(sides[0].value.cpu())
    work.ledger.remember(REFINED[0], EARLIER, data)
    for name, estimate in zip(REFINED, sides, strict=True):
        work.ledger.put(name, data, estimate, joined(estimate.flags, missed))
    work.ledger.put(PARTICLES, data, no_value(len(data)), missed)
    return sides[0]
