"""The stages of a bracket that make a proposal of each datum and weigh it, with as many draws as settle it."""

import math

import torch
from torch import Tensor

from elbowroom.inference.estimate import NORMAL_95, Estimate
from elbowroom.inference.evidence.bracket.choice import (
    EARLIER,
    EXPEDITION,
    PARTICLES,
    POPULATION,
    REFINED,
    choose,
    width,
)
from elbowroom.inference.evidence.bracket.population import populate
from elbowroom.inference.evidence.bracket.proposals import Kind, Proposals
from elbowroom.inference.evidence.bracket.refined import refine
from elbowroom.inference.evidence.bracket.sizes import GROWTH, NUM_ADAPTED, NUM_TRIED
from elbowroom.inference.evidence.bracket.work import BLIND, Work, fitting, joined, no_value
from elbowroom.inference.evidence.bridge.both_sides import both_sides_of
from elbowroom.inference.evidence.second_opinion import MOST_LATENTS
from elbowroom.inference.mcmc.expedition import LEAST_DIM
from elbowroom.inference.mcmc.metric import MAX_DENSE

_KINDS = {
    range(LEAST_DIM, MOST_LATENTS + 1): Kind("population", POPULATION, NUM_ADAPTED, populate),
    range(MOST_LATENTS + 1, MAX_DENSE + 1): Kind("refined", REFINED, NUM_TRIED, refine),
}
"""By the number of scalar latents: with few of them particles from the prior find the posterior by themselves."""

_FINER, _MARGIN = 1.5, 1.4
_NUMBERS = tuple(int(NUM_TRIED * _FINER**k) for k in range(1, 14))
"""Draws of a proposal: as many as settle a datum, by what fewer of them say. These are not among them, so that it is
cheaper to draw half as many again as seem needed than to draw three times."""

_MOST_DRAWS = (_NUMBERS[6], _NUMBERS[9], _NUMBERS[12])
"""In each round: the first knows little, and the last, a second or two a datum, is for those that it should settle."""

_STEADY = 1.3
"""Times as large as before that the error times the root of the number of draws may be: where it grows, the draws meet
what they had missed, and there will be more of that."""

WEIGHED = {kind.name: kind for kind in _KINDS.values()}
"""The kinds by the name of their stage."""


def kind_for(dim: int) -> str | None:
    """The name of the stage for so many scalar latents, if there is one."""
    return next((kind.name for dims, kind in _KINDS.items() if dim in dims), None)


def by_population(work: Work, data: Tensor, effort: float) -> None:
    """Weigh mixtures that were fitted to weighed draws of guide and prior."""
    _by_proposals(WEIGHED["population"], work, data, effort)


def by_refined(work: Work, data: Tensor, effort: float) -> None:
    """Weigh Gaussians that were fitted to each datum from the guide's output on."""
    _by_proposals(WEIGHED["refined"], work, data, effort)


def _by_proposals(kind: Kind, work: Work, data: Tensor, effort: float) -> None:
    """Make the proposals and weigh them from both sides, with as many draws as a few of them say are needed."""
    waiting = int((~work.ledger.has(kind.columns[1])).sum())
    with work.pace.timed(kind.name, len(data), effort):
        try:
            recording = work.recording(kind.name, data, waiting)
            proposals = kind.make(recording, work.seed, work.memory_bytes)
        except NotImplementedError:  # a prior that has a density but cannot be drawn from: nothing would be seen
            for name in kind.columns:
                work.ledger.put(name, data, no_value(len(data)), (BLIND,) * len(data))
            return
        tried = _weigh(kind, work, data, proposals, kind.num_tried)
    work.ledger.put(EXPEDITION, data, *proposals.looked())
    with work.pace.clock.forgiving():
        _settle(kind, work, data, proposals, tried.info["delta_stderr"].cpu())


def _settle(kind: Kind, work: Work, data: Tensor, proposals: Proposals, error: Tensor) -> None:
    """Weigh as many draws as the error `[b]` of a few says are needed, and again as their own error says."""
    step = f"{kind.name} weights"
    made, length = torch.full_like(error, kind.num_tried), 2 * NORMAL_95 * _MARGIN * error
    steady = torch.ones_like(error, dtype=torch.bool)
    for most in _MOST_DRAWS:
        wanted, spread = made * (length / work.tolerance).square(), length * made.sqrt()
        if most == _MOST_DRAWS[-1]:
            hopeful = steady & (wanted <= most) & work.is_unflagged(data, kind.columns)
            wanted = torch.where(hopeful, wanted, 0.0)
        place = torch.searchsorted(torch.tensor(_NUMBERS, dtype=wanted.dtype), wanted.clamp(max=most))
        for at, size in enumerate(_NUMBERS):
            some = ~work.is_settled(data) & (place == at) & (wanted > made) & (made < size)
            places, within = fitting(work, step, _whole(work, some), math.log(size / NUM_ADAPTED, GROWTH))
            number = round(NUM_ADAPTED * GROWTH**within)
            if len(places) and number > made[places].max():
                with work.pace.timed(step, len(places), within):
                    _weigh(kind, work, data[places], proposals.select(places), number)
                made[places] = float(number)
        answers = work.ledger.select(data.tolist())
        length = _MARGIN * width(*(choose(answers, (name,)) for name in kind.columns))
        steady = length * made.sqrt() <= _STEADY * spread


def _whole(work: Work, chosen: Tensor) -> Tensor:
    """Where `chosen` `[b]` is true; everywhere, if anywhere, for programs that cannot be given part of their data."""
    return (chosen if work.target.sliceable else chosen.any().expand_as(chosen)).nonzero().flatten()


def _weigh(kind: Kind, work: Work, data: Tensor, proposals: Proposals, num_samples: int) -> Estimate:
    """Weigh draws of the proposals from both sides; the lower one."""
    sides = both_sides_of(
        work.part(data),
        lambda _, where: proposals.proposal(where, str(num_samples)),
        num_samples,
        work.seed,
        work.memory_bytes,
    )
    missed = proposals.particles.missed(sides[0], num_samples)
    doubts = joined(missed, proposals.doubts(sides[0]))
    work.ledger.remember(kind.columns[0], EARLIER, data)
    for name, estimate in zip(kind.columns, sides, strict=True):
        work.ledger.put(name, data, estimate, joined(estimate.flags, doubts))
    work.ledger.put(PARTICLES, data, no_value(len(data)), missed)
    return sides[0]
