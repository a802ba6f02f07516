"""ELBO, log p(x) and the room of every datum for which they are known, examined or not.

A mean takes all data, if all are known: those that were examined with what the examination says, the others with a
bracket that is settled. Where some are not known, those that are would be the easy ones: means are then over the
examined data that are a random sample.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from elbowroom.inference.audit.examination import Examination
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.gap import Decomposition
from elbowroom.inference.gap.log_p import Sides, between, sides_of


@dataclass(frozen=True)
class Known:
    """Terms of n data, `[n]` nats each, that speak for `population` data.

    Attributes:
        elbo, log_p, room, sampled: the guide's ELBO, log p(x), their difference, and importance sampling.
        population: n, or more, if the n are a random sample.
    """

    elbo: Estimate
    log_p: Estimate[Sides]
    room: Estimate[Sides]
    sampled: Estimate
    population: int


def known_of_sample(
    examination: Examination, sampled: Estimate[ImportanceInfo], index: Tensor, population: int
) -> Known:
    """The examined data at `index`, a random sample."""
    decomposition, data = examination.decomposition, torch.tensor(examination.data)[index]
    terms = (decomposition.elbo, decomposition.log_p, decomposition.room())
    elbo, log_p, room = (_at(term, index) for term in terms)
    return Known(elbo, log_p, room, _at(sampled, data), population)


def known_of_all(
    bracket: Bracket, sampled: Estimate[ImportanceInfo], examination: Examination | None, exploded: tuple[str, ...]
) -> Known | None:
    """All data whose encoder output is usable; None unless all of them are known, or if there are none.

    Args:
        bracket, sampled: of all data.
        examination: of some of them.
        exploded: for each datum why its encoder output is not usable, or an empty string.
    """
    usable, known = torch.tensor([not reason for reason in exploded]), bracket.settled.clone()
    log_p: Estimate[Any] = between(bracket)
    elbo: Estimate[Any] = Estimate(
        sampled.info["elbo"].double().cpu(), sampled.info["elbo_stderr"].double().cpu(), "lower"
    )
    if examination is not None:
        data, decomposition = torch.tensor(examination.data), examination.decomposition
        usable[data], known[data] = decomposition.usable.cpu(), True
        elbo, log_p = _put(elbo, data, decomposition.elbo), _put(log_p, data, _with_sides(decomposition))
    index = usable.nonzero().flatten()
    if not len(index) or not bool(known[index].all()):
        return None
    room = Estimate(log_p.value - elbo.value, torch.hypot(log_p.stderr, elbo.stderr), "none", log_p.info)
    return Known(_at(elbo, index), _at(log_p, index), _at(room, index), _at(sampled, index), len(index))


def _with_sides(decomposition: Decomposition) -> Estimate[Sides]:
    """log p(x) with half-widths and one-sidedness written out for every datum."""
    log_p, sides = decomposition.log_p, sides_of(decomposition.log_p)
    half = sides.get("half_width", torch.zeros_like(log_p.value))
    one_sided = sides.get("one_sided", torch.zeros(len(log_p), dtype=torch.bool))
    return Estimate(log_p.value, log_p.stderr, "none", {"half_width": half, "one_sided": one_sided})


def _at(estimate: Estimate[Any], index: Tensor) -> Estimate[Sides]:
    """An estimate of some of its data."""
    return Estimate(estimate.value[index], estimate.stderr[index], "none", _sides(estimate, lambda _, of: of[index]))


def _put(estimate: Estimate[Any], data: Tensor, of_some: Estimate[Any]) -> Estimate[Sides]:
    """An estimate with another's values in the place of its own for some data."""
    value = _replaced(estimate.value, data, of_some.value)
    stderr = _replaced(estimate.stderr, data, of_some.stderr)
    sides = _sides(estimate, lambda name, mine: _replaced(mine, data, of_some.info[name]))
    return Estimate(value, stderr, "none", sides)


def _sides(estimate: Estimate[Any], change: Callable[[str, Tensor], Tensor]) -> Sides:
    """Half-widths and one-sidedness of an estimate, each changed."""
    sides = cast(dict[str, Tensor], sides_of(estimate))
    return cast(Sides, {name: change(name, value) for name, value in sides.items()})


def _replaced(mine: Tensor, data: Tensor, theirs: Tensor) -> Tensor:
    return mine.cpu().index_copy(0, data, theirs.to("cpu", mine.dtype))
