"""A clock that goes by evaluations of the programs: what a budget of seconds allows is the same on every machine."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest

from elbowroom.inference.evaluation.recorded import Traced
from elbowroom.inference.programs import densities

CALL, CELL, LOOK = 3e-4, 3e-7, 1e-6
"""Seconds of an evaluation, of each (sample, datum) in it, and of a look at the clock: about those of one core."""


class Clock:
    """Stands in for `time.perf_counter`."""

    def __init__(self) -> None:
        self.seconds, self.evaluations = 0.0, 0

    def __call__(self) -> float:
        self.seconds += LOOK
        return self.seconds

    def evaluate(self, num_cells: int) -> None:
        self.seconds += CALL + CELL * num_cells
        self.evaluations += 1


def by_evaluations(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Put the clock in the place of the machine's, and let it go on at each run of a program and at each replay."""
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    monkeypatch.setattr(
        densities, "run", _counted(densities.run, clock, lambda triple, _l, _t, _v, s, *_: s * len(triple))
    )
    monkeypatch.setattr(Traced, "__call__", _counted(Traced.__call__, clock, lambda _, u, *__: u.shape[0] * u.shape[1]))
    return clock


def _counted(function: Callable[..., Any], clock: Clock, cells: Callable[..., int]) -> Callable[..., Any]:
    @wraps(function)
    def counted(*args: Any, **kwargs: Any) -> Any:
        clock.evaluate(cells(*args, **kwargs))
        return function(*args, **kwargs)

    return counted
