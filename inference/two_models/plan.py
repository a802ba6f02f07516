"""Which data, and how the budget is shared: data in random order for as long as it lasts, hard ones with what is left.

Whether a datum is used does not depend on how hard it is: data that are taken up count, settled or not, else those that
are easy for both models would speak for all.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from elbowroom.inference.evaluation.clock import Clock
from elbowroom.inference.two_models.contender import Contender
from elbowroom.inference.two_models.paired import Paired

_FIRST = 16  # data of the first block, from which the cost of the others is known
_FIRST_SHARE = 0.6  # of the budget, at most, for that block
_SHARE = 0.8  # of what is left, for the next block: forecasts err
_LITTLE = 0.05  # share of the budget that may be left
_GROWTH = 8  # blocks grow so many times at most
_FINER = 4.0  # each round of a finer tolerance
_FINEST = 1e-3  # nats
_ONE_ERROR = 0.68  # level of an interval of one standard error on either side
_NEGLIGIBLE = 0.1  # of the standard error: sides that are no further apart on average are near enough


def random_order(num_data: int, seed: int) -> Tensor:
    """The order in which data are taken up, `[N]`: a function of the seed."""
    return torch.from_numpy(np.random.Generator(np.random.Philox(key=[seed, num_data])).permutation(num_data))


def take_up(
    contenders: Sequence[Contender], order: Tensor, tolerance: float, tell: Callable[[int], None]
) -> tuple[Tensor, float]:
    """Answer data in that order for as long as the budget lasts.

    Args:
        contenders: the models; one that cannot be given part of its data is given all.
        order: all data.
        tolerance: nats, as of `bracket`.
        tell: called with the number of data that were taken up.

    Returns:
        The data that were taken up, `[n]`, and what each of the last ones took, in the budget's unit.
    """
    clock, whole = contenders[0].clock, not all(c.target.sliceable for c in contenders)
    done, size, each = 0, len(order) if whole else _FIRST, 0.0
    while done < len(order):
        block = order[done : done + size]
        room = (_FIRST_SHARE if done == 0 and not whole else 1.0) * clock.left
        costs = _answer(contenders, block, room, tolerance, again=False)
        done += len(block)
        tell(done)
        each = sum(costs) / len(block)
        size = min(_GROWTH * size, _fitting(_SHARE * clock.left, each, len(order) - done))
        if not size or clock.left <= _LITTLE * clock.budget:
            break
    return order[:done], each


def narrow(
    contenders: Sequence[Contender], data: Tensor, tolerance: float, read: Callable[[], tuple[Paired, Tensor]]
) -> None:
    """Spend what is left on data that are not settled, then on finer brackets while those are what keeps sides apart.

    Args:
        contenders: the models.
        data: that were taken up.
        tolerance: of the first rounds, nats.
        read: the difference of log p(x) as it is known now, and which data are not known from both sides.
    """
    clock = contenders[0].clock
    while clock.left > _LITTLE * clock.budget and tolerance >= _FINEST:
        open_ = [data[~c.bracket(data, tolerance).settled] for c in contenders]
        if any(map(len, open_)):
            _narrowed(contenders, open_, tolerance)
        paired, unknown = read()
        if not bool(unknown.any()) and _near(paired):
            return
        tolerance /= _FINER


def _near(paired: Paired) -> bool:
    """Whether the sides are so near each other on average that data, or noise, are what keeps the interval wide."""
    low, high = paired.interval(_ONE_ERROR)
    return paired.apart <= _NEGLIGIBLE * (high - low) / 2


def to_finish(contenders: Sequence[Contender], data: Tensor, tolerance: float, others: float) -> float:
    """What another round on the data that are not settled takes, in the budget's unit, beside what the others take."""
    return others + sum(c.to_go_on(data[~c.bracket(data, tolerance).settled]) for c in contenders)


def _answer(
    contenders: Sequence[Contender], data: Tensor, room: float, tolerance: float, again: bool
) -> tuple[float, ...]:
    """Give each model its share of the room; what each took."""
    costs, clock = [], contenders[0].clock
    end = clock.spent + room
    for place, contender in enumerate(contenders):
        begin = clock.spent
        share = (end - begin) / (len(contenders) - place)
        contender.answer(data, share, tolerance, again=again)
        costs.append(clock.spent - begin)
    return tuple(costs)


def _narrowed(contenders: Sequence[Contender], open_: Sequence[Tensor], tolerance: float) -> None:
    """Go on with the open data of each model, the one with more of them getting more of what is left."""
    clock: Clock = contenders[0].clock
    left, total = clock.left, sum(map(len, open_))
    for contender, data in zip(contenders, open_, strict=True):
        if len(data):
            whole = torch.arange(len(contender.target)) if not contender.target.sliceable else data
            contender.answer(whole, left * len(data) / total, tolerance, again=True)


def _fitting(room: float, each: float, most: int) -> int:
    """How many data have room, at what each of the last block took."""
    return most if each <= 0 else min(most, int(max(room, 0.0) / each))
