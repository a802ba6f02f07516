"""log p(x) annealed from the refined guide, and a second opinion that does not begin there; the two must agree.

Chains that begin in a lesser mode may stay there, and their weights do not tell. So what begins at the refined guide is
held against a search from the prior where that knows log p(x) well, else against annealing from the encoder's output,
or from the prior where that is not usable.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.evidence.annealing import anneal
from elbowroom.inference.gap.own_family import OWN_FAMILY
from elbowroom.inference.gap.refined import RefinedGuide
from elbowroom.inference.target import Target

NUM_STEPS, NUM_CHAINS = 64, 16
"""Temperatures and chains of annealing from the refined guide, and from elsewhere."""

SEARCH = "a search from the prior"

_LONGER, _MORE = 4, 2  # times the temperatures, and the chains, where the second opinion does not confirm the first
_SUSPICIOUS, _NEGLIGIBLE = 4.0, 0.02  # standard errors, and nats on top of them
_CONFIRMS, _KNOWS, _KNOWN = 0.05, 0.25, 0.5  # standard errors up to which a search, or annealing, says something
_STARTS = {"guide": "annealing from the encoder's output", "prior": "annealing from the prior"}
_ALONE = "there is no second opinion on log p(x): the guide's density is unknown, and the prior cannot be drawn from"

Options = dict[str, Any]


class TwoOpinions(NamedTuple):
    """log p(x) as it is believed, `[B]`, and what annealing from the largest family says, NaN where it was not run."""

    log_p: Estimate
    from_refined: Estimate


def beyond_chance(difference: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Whether a difference, nats, is more than two values with these standard errors show by chance."""
    return difference > _SUSPICIOUS * torch.hypot(one, other) + _NEGLIGIBLE


@dataclass(frozen=True)
class Ground:
    """What the ladder has found out of each datum besides members.

    Attributes:
        exploded: data whose encoder output is not usable, `[B]` bool.
        several: data with modes that no member of the largest family covers together, `[B]` bool.
        searched: log p(x) as a search from the prior alone knows it, NaN where there was none.
        own_is_best: data of which no larger family betters the guide's own, `[B]` bool; None without such a rung.
    """

    exploded: Tensor
    several: Tensor
    searched: Estimate
    own_is_best: Tensor | None = None

    def select(self, data: Tensor) -> "Ground":
        """The same of some of the data."""
        own = None if self.own_is_best is None else self.own_is_best[data]
        return Ground(self.exploded[data], self.several[data], part_of(self.searched, data), own)


def annealed_twice(refined: RefinedGuide, ground: Ground, seed: int, memory_bytes: int | None) -> TwoOpinions:
    """Anneal from the best refined family, and hear a second opinion; all are lower bounds in expectation.

    The best one of a datum is the guide's own where no larger one betters it, else the largest.

    Where they agree, the first is believed, which is better known; the second if only the first has a flag. Where
    annealing from elsewhere lies below or is too noisy to confirm the first, it is repeated with four times the
    temperatures and twice the chains, and where it lies below from the prior: an encoder in a lesser mode knows no
    better. Where they still do not agree the larger one is believed, with both numbers for a flag. Where the ladder has
    seen modes that its members do not cover together, the first is known to lack them: a search from the prior is
    believed if it knows log p(x) well.

    Args:
        refined: the members.
        ground: what else is known of the data.
        seed: of the chains.
        memory_bytes: byte budget of an evaluation.
    """
    options: Options = {"num_chains": NUM_CHAINS, "seed": seed, "memory_bytes": memory_bytes}
    base, every = refined.base, torch.arange(len(refined.base))
    first, of_largest = _from_refined(refined, ground.own_is_best, options)
    from_prior = ground.exploded if base.has_density else torch.ones_like(ground.exploded)
    searched, second = ground.searched, _Opinion.nobodys(len(base))
    above = _above(searched, first)
    # A search that knows log p(x) speaks for itself: where it confirms the first, and where that lacks modes.
    believed = ground.several & (searched.stderr <= _KNOWS) & ~_above(first, searched)
    confirms = (searched.stderr <= _CONFIRMS) & ~above & ~_above(first, searched)
    second = second.replaced(every[believed | confirms], part_of(searched, every[believed | confirms]), SEARCH)
    # Else annealing from the encoder's output; where other modes are known, or likely, it may be in the same as these.
    doubtful = above | ground.several
    rest = ~(believed | confirms)
    second = _heard(base, second, every[rest & ~doubtful], from_prior, NUM_STEPS, options)
    low = _above(first, second.estimate)
    again = rest & (doubtful | ((low | second.unsure) & ~second.estimate.value.isnan()))
    longer = options | {"num_chains": _MORE * NUM_CHAINS}
    second = _heard(base, second, every[again], from_prior | low | doubtful, _LONGER * NUM_STEPS, longer)
    # A prior that cannot be drawn from says nothing: then the encoder's output is all there is.
    alone = second.estimate.value.isnan() & ~from_prior
    second = _heard(base, second, every[alone], from_prior, NUM_STEPS, options)
    larger = above & ~believed & (searched.stderr <= _KNOWS) & ~_above(second.estimate, searched)
    second = second.replaced(every[larger], part_of(searched, every[larger]), SEARCH)
    return TwoOpinions(_judged(first, second, believed), of_largest)


def _from_refined(refined: RefinedGuide, own_is_best: Tensor | None, options: Options) -> tuple[Estimate, Estimate]:
    """Annealing from the best family of each datum, and from the largest alone, NaN where that is another."""
    nothing = torch.full((len(refined.base),), torch.nan, dtype=torch.float64)
    found = largest = Estimate(nothing, nothing, "lower")
    own = torch.zeros(len(nothing), dtype=torch.bool) if own_is_best is None else own_is_best
    for name, data in ((OWN_FAMILY, own.nonzero().flatten()), (None, (~own).nonzero().flatten())):
        if len(data):
            target = refined.target(name)
            part = target.select(data) if len(data) < len(target) else target
            annealed = anneal(part, num_steps=NUM_STEPS, search=False, **options)
            found = put(found, data, annealed)
            largest = largest if name else put(largest, data, annealed)
    return found, largest


@dataclass(frozen=True)
class _Opinion:
    """An estimate, NaN where there is none, and whose it is, datum by datum."""

    estimate: Estimate
    whose: tuple[str, ...]

    @classmethod
    def nobodys(cls, num_data: int) -> "_Opinion":
        nothing = torch.full((num_data,), torch.nan, dtype=torch.float64)
        return cls(Estimate(nothing, nothing, "lower"), ("",) * num_data)

    @property
    def unsure(self) -> Tensor:
        """The data of which it says too little to confirm anything, `[B]` bool."""
        return ~(self.estimate.stderr <= _KNOWN)

    def replaced(self, data: Tensor, part: Estimate, whose: str) -> "_Opinion":
        """The same with another's opinion on some of the data."""
        chosen = set(data.tolist())
        names = tuple(whose if b in chosen else name for b, name in enumerate(self.whose))
        return _Opinion(put(self.estimate, data, part), names)


def _heard(
    target: Target, opinion: _Opinion, data: Tensor, from_prior: Tensor, num_steps: int, options: Options
) -> _Opinion:
    """The opinion with that of annealing on some of the data, from the prior where `from_prior` `[B]` says so.

    Programs that cannot be given part of their data are annealed from the prior if one datum is. A prior that cannot be
    drawn from says nothing.
    """
    if not target.sliceable:
        from_prior = from_prior[data].any().expand_as(from_prior)
    for start, chosen in (("guide", ~from_prior), ("prior", from_prior)):
        index = data[chosen[data]]
        if not len(index):
            continue
        part = target.select(index) if target.sliceable and len(index) < len(target) else target
        try:
            found = anneal(part, start=start, num_steps=num_steps, search=False, **options)
        except NotImplementedError:  # a prior that has a density but cannot be drawn from
            continue
        found = found if len(found) == len(index) else part_of(found, index)
        opinion = opinion.replaced(index, found, _STARTS[start])
    return opinion


def _above(one: Estimate, other: Estimate) -> Tensor:
    """Where one estimate lies above another by more than chance, `[B]` bool."""
    return beyond_chance(one.value - other.value, one.stderr, other.stderr)


def _judged(first: Estimate, second: _Opinion, believed: Tensor) -> Estimate:
    """The estimate to believe of each datum, flagged where the two do not agree and nothing says why, `believed`."""
    other, unsure = second.estimate, second.unsure
    above, below = _above(other, first), _above(first, other)
    takes_second = above | believed | (~below & ~unsure & torch.tensor([bool(flag) for flag in first.flags]))
    flags = []
    for b in range(len(first)):
        numbers = (
            f"annealing from the refined q says {first.value[b]:.3f} ± {first.stderr[b]:.3f}, {second.whose[b]} "
            f"{other.value[b]:.3f} ± {other.stderr[b]:.3f}"
        )
        doubt = ""
        if other.value[b].isnan():
            doubt = _ALONE
        elif (above[b] or below[b]) and not believed[b]:
            doubt = f"{numbers}: they disagree"
        elif unsure[b] and not believed[b]:
            doubt = f"{numbers}: too little to confirm it"
        flags.append(reasons(other.flags[b] if takes_second[b] else first.flags[b], doubt))
    value = torch.where(takes_second, other.value, first.value)
    return Estimate(value, torch.where(takes_second, other.stderr, first.stderr), "lower", flags=tuple(flags))


def put(estimate: Estimate, data: Tensor, part: Estimate) -> Estimate:
    """The estimate with that of some of its data in their place; without what `info` says."""
    flags = list(estimate.flags)
    for b, flag in zip(data.tolist(), part.flags, strict=True):
        flags[b] = flag
    return Estimate(
        estimate.value.index_copy(0, data, part.value.to(estimate.value)),
        estimate.stderr.index_copy(0, data, part.stderr.to(estimate.stderr)),
        estimate.bound,
        flags=tuple(flags),
    )


def part_of(estimate: Estimate, data: Tensor) -> Estimate:
    """The estimate of some of its data, without what `info` says."""
    flags = tuple(estimate.flags[b] for b in data.tolist())
    return Estimate(estimate.value[data], estimate.stderr[data], estimate.bound, flags=flags)
