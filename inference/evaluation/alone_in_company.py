"""Whether a datum has the same densities alone as in company, asked again once an estimator has used them.

A program may begin to mix its data after its target was made: a buffer or a global is written, a part is exchanged, a
branch is met that no draw had met before. So two data, chosen at random, are evaluated at a few draws of the guide by
themselves and among others, and if they differ all numbers of the call are flagged. What only reduces results of such
calls, or makes all its numbers by one of them at its start, has their flags.
"""

import random
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import torch
from torch import Tensor

from elbowroom.inference.programs.evaluations import counting, total, unasked
from elbowroom.inference.programs.independence import AMONG
from elbowroom.inference.programs.tolerance import same
from elbowroom.inference.target import Target

P = ParamSpec("P")

_NUM_DRAWS, _NUM_DATA = 4, 2
_MANY = 50_000  # evaluations of a call, of which the check is a small part

_CHECKED: "weakref.WeakKeyDictionary[Target, Counter[str]]" = weakref.WeakKeyDictionary()
"""How often each target was asked at the end of each estimator."""


class Doubtable(Protocol):
    """A result that can say why it is not to be trusted."""

    def doubted(self, reason: str) -> Self:
        """The same with a further reason to doubt all of it."""


R = TypeVar("R", bound=Doubtable)


class _Inside(threading.local):
    """Whether this thread is inside of an estimator: only the outermost asks."""

    yes = False


_INSIDE = _Inside()


def asked_again(estimator: Callable[P, R]) -> Callable[P, R]:
    """What is computed of a target, its first argument; its numbers are flagged if the programs mix their data.

    It is asked at the end of its first call of a target, and of each that takes long; that counts as no evaluation.
    """

    @wraps(estimator)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if _INSIDE.yes:
            return estimator(*args, **kwargs)
        before, _INSIDE.yes = total(), True
        try:
            found = estimator(*args, **kwargs)
        finally:
            _INSIDE.yes = False
        target: Any = args[0] if args else kwargs["target"]
        times = _CHECKED.setdefault(target, Counter())
        if times[estimator.__name__] and total() - before < _MANY:
            return found
        seed = times.total()  # other data each time
        times[estimator.__name__] += 1
        with unasked(), counting(0):
            reason = depends_on_company(target, seed)
        return found.doubted(reason) if reason else found

    return checked


def depends_on_company(target: Target, seed: int = 0) -> str:
    """Which of two random data has other densities by itself than among others, in words; "" if neither has.

    Nothing is known, and nothing said, of one datum, of programs that cannot be given part of their data, and of a
    guide without a density at its draws.

    Args:
        target: programs and data.
        seed: of the choice and the draws.
    """
    if not target.sliceable or len(target) < 2:
        return ""
    chosen = random.Random(seed).sample(range(len(target)), min(AMONG, len(target)))
    try:
        with torch.no_grad():
            among = _terms(target.select(chosen), seed)
            alone = [_terms(target.select([datum]), seed) for datum in chosen[:_NUM_DATA]]
    except Exception:  # no density, or a numerical error: the estimator has said so
        return ""
    for position, terms in enumerate(alone):
        for name, term in terms.items():
            theirs = among[name][:, position : position + 1]
            if not same(term, theirs):
                apart = float((term - theirs).abs().nan_to_num(torch.inf).max())
                return (
                    f"{name} of datum {chosen[position]} is not what it is by itself among {len(chosen)} data (up to "
                    f"{apart:.3g} nats apart): the programs mix data, since the target was made or at these draws. "
                    "Look for what changed, and make the target anew, which says where"
                )
    return ""


def _terms(target: Target, seed: int) -> dict[str, Tensor]:
    z, log_q = target.propose(_NUM_DRAWS, seed=seed)
    prior, likelihood = target.log_joint(z)
    return {"log q(z|x)": log_q, "log p(z)": prior, "log p(x|z)": likelihood}
