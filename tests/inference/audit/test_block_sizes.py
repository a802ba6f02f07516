"""How many data a block of the examination takes: by forecasts at first, then by what blocks have cost."""

import pytest

from elbowroom.inference.audit.block_sizes import FIRST, MOST, size_after_chains, size_of_block
from elbowroom.inference.audit.costs import COMPARED, DRAWN
from elbowroom.inference.evaluation.clock import Clock
from elbowroom.inference.evidence.bracket.forecast import Amount, Forecast
from elbowroom.inference.evidence.bracket.pace import Pace

EACH = {DRAWN: lambda *_: Amount(0, 0.25), COMPARED: lambda *_: Amount(0, 0.75)}  # a second for a datum


def pace_of(seconds: float, out_by: float | None = None) -> Pace:
    """A pace with so much left, after a block that was out by a factor."""
    pace = Pace(Clock(seconds), Forecast(0.0, 1.0, 1, work=EACH))
    if out_by is not None:
        pace._factor |= {DRAWN: out_by, COMPARED: out_by}
    return pace


@pytest.mark.parametrize(
    ("seconds", "out_by", "size"),
    [
        (1e9, None, FIRST),
        (1e9, 1.0, MOST),
        (9.05, None, 6),  # 9 / 1.5
        (1.4, None, 1),  # a forecast may be too high
        (0.6, None, 0),
        (10.05, 1.0, 8),  # four fifths are given away
        (10.05, 2.0, 4),
        (1.2, 1.0, 0),  # and what has been seen is believed
    ],
)
def test_a_block_is_what_there_is_room_for(seconds: float, out_by: float | None, size: int) -> None:
    assert size_of_block(pace_of(seconds, out_by), 1000, sliceable=True) == size
    assert size_of_block(pace_of(seconds, out_by), 3, sliceable=True) == min(size, 3)


@pytest.mark.parametrize(("seconds", "size"), [(1e9, 20), (14.0, 20), (13.0, 0)])
def test_programs_that_cannot_be_cut_are_taken_whole_or_not_at_all(seconds: float, size: int) -> None:
    assert size_of_block(pace_of(seconds), 20, sliceable=False) == size


@pytest.mark.parametrize(("factor", "going_on"), [(1.0, 8), (2.0, 4), (4.0, 2), (100.0, 1)])
def test_chains_that_were_dear_leave_room_for_fewer(factor: float, going_on: int) -> None:
    pace = pace_of(6.05)
    pace._factor[DRAWN] = factor
    assert size_after_chains(pace, 8, sliceable=True) == going_on
    assert size_after_chains(pace, 8, sliceable=False) == 8
