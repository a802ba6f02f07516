"""How many data a block of an examination takes, and with how many of them it goes on once their chains have run.

The chains of a block show how far forecasts are out. Where what follows would not fit, fewer data go on: those at the
head of the block, and the others wait for the next one.
"""

from collections.abc import Callable

from elbowroom.inference.audit.costs import COMPARED, DRAWN
from elbowroom.inference.evidence.bracket.pace import Pace

FIRST, MOST = 16, 32  # data in the first block, and in the others at most

_CAUTION = 0.8  # of what is left is given away: blocks are not all alike
_HOPE = 1.5  # forecasts of a first block may be so many times too high, or too low
_DRAWING = 0.6  # of what is left, for the chains: shorter ones are better than none with which nothing is done


def cost_of(pace: Pace, num_data: int) -> float:
    """What chains of so many data, and all that is done with them, should take."""
    return pace.cost(DRAWN, num_data) + pace.cost(COMPARED, num_data)


def size_of_block(pace: Pace, rest: int, sliceable: bool) -> int:
    """How many of the data that wait the next block takes; the first is tried on one where a forecast may be too high.

    Args:
        pace: what there is room for.
        rest: data that wait.
        sliceable: whether the programs can be cut by data.
    """
    hopeful, seen = _HOPE * pace.clock.left, pace.has_run(COMPARED)
    if not sliceable:
        return rest if cost_of(pace, rest) <= hopeful else 0
    room = _CAUTION * pace.clock.left if seen else pace.clock.left / _HOPE
    size = _largest(min(rest, MOST if seen else FIRST), lambda n: cost_of(pace, n) <= room)
    return size or int(not seen and cost_of(pace, 1) <= hopeful)


def size_after_chains(pace: Pace, drawn: int, sliceable: bool) -> int:
    """With how many of the data whose chains have run there is room to go on; one is tried in any case."""
    if not sliceable:
        return drawn
    if not pace.has_run(COMPARED):
        pace.lend(DRAWN, COMPARED)
    return max(1, _largest(drawn, lambda n: pace.cost(COMPARED, n) <= pace.clock.left))


def time_for_chains(pace: Pace) -> float:
    """After how much the chains of a block stop, with the draws that they have."""
    return max(_DRAWING * pace.clock.left, 0.0)


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to `most` that fits; 0 if none does."""
    return next((n for n in range(most, 0, -1) if fits(n)), 0)
