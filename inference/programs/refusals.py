"""Points at which a program raises a numerical error: density zero there, counted, and the others as they are.

A covariance that is not positive definite, a standard deviation that has been rounded to zero, a check of the user's
own: far out, where chains and lattices look too, these are ordinary. What raises at ordinary points, or is no numerical
error (a TypeError, a KeyError), goes through.
"""

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from elbowroom.inference.programs import terms
from elbowroom.inference.programs.requirements import ProgramError
from elbowroom.inference.programs.terms import Result, Term
from elbowroom.inference.programs.triple import Triple
from elbowroom.inference.programs.unfactored import Unfactored

NUMERICAL: tuple[type[Exception], ...] = (torch.linalg.LinAlgError, ValueError, ArithmeticError)
"""What a program may raise at a point without being wrong: LinAlgError, ValueError, ArithmeticError."""

Evaluate = Callable[[Triple, Mapping[str, Tensor], int], Result]
"""(some data, their values `[S, B, ...]`, S) -> values and terms, `[S, B, ...]`."""


class Questions(NamedTuple):
    """What is asked of the programs where they raise.

    Attributes:
        evaluate: the term that was asked for, at some of the points.
        alone: `terms.prior_alone` of one sample of some data; its last argument: whether it is given unconstrained.
        ordinary: the joint density at a draw of the guide; it raises if that does.
    """

    evaluate: Evaluate
    alone: Callable[[Triple, Mapping[str, Tensor], bool], Result]
    ordinary: Callable[[Triple], object]


_LOCAL = threading.local()
_SOUND: "weakref.WeakKeyDictionary[Triple, bool]" = weakref.WeakKeyDictionary()


class Count:
    """How many points of each datum were refused, by its key, and why the first was."""

    def __init__(self) -> None:
        self.by_key: dict[int, int] = {}
        self.reason = ""

    def add(self, keys: np.ndarray, refused: Tensor, reason: str) -> None:
        """Take in the refused points `[S, B]` of data with these keys."""
        self.reason = self.reason or reason
        for key, count in zip(keys.tolist(), refused.sum(0).tolist(), strict=True):
            if count:
                self.by_key[key] = self.by_key.get(key, 0) + count

    def of(self, triple: Triple) -> Tensor:
        """The counts of the data of a triple, `[B]`."""
        return torch.tensor([self.by_key.get(key, 0) for key in triple.keys.tolist()])


@contextmanager
def counted() -> Iterator[Count]:
    """Inside, refused points are counted; an outer count has them too."""
    count = Count()
    _counts().append(count)
    try:
        yield count
    finally:
        _counts().remove(count)


@contextmanager
def strict() -> Iterator[None]:
    """Inside, nothing is refused: what a program raises goes through."""
    before, _LOCAL.strict = getattr(_LOCAL, "strict", False), True
    try:
        yield
    finally:
        _LOCAL.strict = before


def is_numerical(error: Exception) -> bool:
    """Whether an error may be a point's fault."""
    return isinstance(error, NUMERICAL) and not isinstance(error, ProgramError)


def tell(keys: np.ndarray, refused: Tensor, reason: str) -> None:
    """Count refused points `[S, B]` of data with these keys."""
    if bool(refused.any()):
        for count in _counts():
            count.add(keys, refused, reason)


def refusing(triple: Triple, term: Term, values: Mapping[str, Tensor], num_samples: int, ask: Questions) -> Result:
    """`ask.evaluate`, with density zero at the points of `values` where the program raises a numerical error.

    First again with matrices that have no factor answered by NaN, all at once; then in ever smaller pieces.

    Raises:
        Exception: what the program raised, if it is no numerical error, or raises at draws of the guide, too.
    """
    try:
        return ask.evaluate(triple, values, num_samples)
    except NUMERICAL as error:
        fill = _FILLS.get(term)
        if fill is None or not is_numerical(error) or getattr(_LOCAL, "strict", False):
            raise
        reason = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}" if str(error) else type(error).__name__
        found, refused = _in_pieces(triple, values, num_samples, ask.evaluate, fill)
        if bool(refused.all()) and not _sound(triple, ask):
            raise
        found = _with_prior(triple, term, values, found, ask)
    tell(triple.keys, refused, reason)
    return found


Fill = Callable[[Triple, Mapping[str, Tensor]], Result]
"""(one datum, a point of it) -> the result there if it is refused, `[1, 1, ...]`."""


def _in_pieces(
    triple: Triple, values: Mapping[str, Tensor], num_samples: int, evaluate: Evaluate, fill: Fill
) -> tuple[Result, Tensor]:
    """The result in pieces as large as can be evaluated, and which points were refused, `[S, B]`."""
    try:
        with Unfactored():
            result = evaluate(triple, values, num_samples)
    except NUMERICAL as error:
        if not is_numerical(error):
            raise
    else:
        return _without_nan(result)
    num_data = len(triple)
    if num_samples * num_data == 1:
        return fill(triple, values), torch.ones(1, 1, dtype=torch.bool)
    halves = []
    if num_samples > 1:
        dim, middle = 0, num_samples // 2
        for part in (slice(0, middle), slice(middle, num_samples)):
            some = {name: value[part] for name, value in values.items()}
            halves.append(_in_pieces(triple, some, part.stop - part.start, evaluate, fill))
    else:
        dim, middle = 1, num_data // 2
        for rows in (range(middle), range(middle, num_data)):
            some = {name: value[:, rows.start : rows.stop] for name, value in values.items()}
            halves.append(_in_pieces(triple.select(rows), some, num_samples, evaluate, fill))
    (one, refused_one), (other, refused_other) = halves
    joined = tuple({k: torch.cat([one[i][k], other[i][k]], dim) for k in one[i]} for i in (0, 1))
    return (joined[0], joined[1]), torch.cat([refused_one, refused_other], dim)


def _without_nan(result: Result) -> tuple[Result, Tensor]:
    """Density zero where it is not a number."""
    values, found = result
    refused = torch.stack([term.isnan() for term in found.values()]).any(0) if found else None
    if refused is None:
        value = next(iter(values.values()))
        return result, torch.zeros(value.shape[:2], dtype=torch.bool)
    clean = {name: torch.where(term.isnan(), _NOTHING.get(name, 0.0), term) for name, term in found.items()}
    return (values, clean), refused.cpu()


_NOTHING = {"prior": -torch.inf, "likelihood": -torch.inf, "log_q": -torch.inf}


def _sound(triple: Triple, ask: Questions) -> bool:
    """Whether the model can be evaluated at a draw of the guide: if not, its errors are the program's fault."""
    if triple not in _SOUND:
        try:
            with strict(), torch.no_grad():
                ask.ordinary(triple)
            _SOUND[triple] = True
        except Exception:
            return False
    return _SOUND[triple]


def _joint(triple: Triple, point: Mapping[str, Tensor]) -> Result:
    return {}, _full(point, prior=torch.nan, likelihood=-torch.inf)


def _joint_unconstrained(triple: Triple, point: Mapping[str, Tensor]) -> Result:
    like = next(iter(point.values()))
    values = {name: like.new_full((1, 1, *shape), torch.nan) for name, shape in triple.latents.items()}
    return values, _full(point, prior=torch.nan, likelihood=-torch.inf, log_jacobian=0.0)


def _with_prior(triple: Triple, term: Term, values: Mapping[str, Tensor], result: Result, ask: Questions) -> Result:
    """The prior's density where the model failed in its likelihood alone, for annealing may start there; else −∞."""
    places, found = result
    if "prior" not in found or not bool(found["prior"].isnan().any()):
        return result
    sample, datum = (i.cpu() for i in found["prior"].isnan().nonzero(as_tuple=True))
    alone: Result = ({}, {})
    if not triple.structure.discrete:
        points = {name: value[sample, datum].detach().unsqueeze(0) for name, value in values.items()}
        unconstrained = term is terms.joint_density_unconstrained
        with suppress(*NUMERICAL):
            alone = ask.alone(triple.select(datum), points, unconstrained)
    index = (sample, datum)
    found = {k: v.index_put(index, alone[1][k][0].to(v)) if k in alone[1] else v for k, v in found.items()}
    places = {k: v.index_put(index, alone[0][k][0].to(v)) if k in alone[0] else v for k, v in places.items()}
    return places, found | {"prior": found["prior"].nan_to_num(-torch.inf, torch.inf, -torch.inf)}


def _guide(triple: Triple, point: Mapping[str, Tensor]) -> Result:
    return {}, _full(point, log_q=-torch.inf)


def _nothing_hidden(triple: Triple, point: Mapping[str, Tensor]) -> Result:
    return {}, _full(point, log_p=0.0)  # a term of log q, which stays finite: the joint's is −∞ there


def _no_coordinates(triple: Triple, point: Mapping[str, Tensor]) -> Result:
    like, latents = next(iter(point.values())), triple.structure.latents.values()
    shapes = {latent.name: (1, 1, *latent.plates, *(latent.unconstrained or ())) for latent in latents}
    return {name: like.new_full(shape, torch.nan) for name, shape in shapes.items()}, {}


def _full(point: Mapping[str, Tensor], **found: float) -> dict[str, Tensor]:
    like = next(iter(point.values()))
    nothing = torch.where(torch.ones_like(like, dtype=torch.bool), 0.0, like).sum()  # keeps a graph, of slope zero
    return {name: nothing + like.new_full((1, 1), value) for name, value in found.items()}


_FILLS: dict[Term, Fill] = {
    terms.joint_density: _joint,
    terms.joint_density_unconstrained: _joint_unconstrained,
    terms.guide_density: _guide,
    terms.masked_density: _nothing_hidden,
    terms.unconstrain: _no_coordinates,
}


def _counts() -> list[Count]:
    counts: list[Count] = vars(_LOCAL).setdefault("counts", [])
    return counts
