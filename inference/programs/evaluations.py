"""How many evaluations were made: a count that every evaluation passes, and a place to stop it at.

An evaluation is one run of model or guide at one (sample, datum) point; with its gradient it counts as `GRADIENT`. All
of them come by `densities.run` or by the recorded programs of `evaluation/recorded.py`; what is run inside of one (a
record that is made and compared, the pieces of one that raised) is part of it. So the count of a call is a function of
its arguments, not of the machine, its load, or of what was recorded before.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GRADIENT = 3
"""Evaluations that one with its gradient counts as."""

Check = Callable[[int], None]
"""Asked before each evaluation, with the number of evaluations that it counts as; raises to stop there."""


class _Local(threading.local):
    """The count of this thread, whether it is inside of an evaluation, and who is asked before one."""

    def __init__(self) -> None:
        self.total, self.inside = 0, False
        self.checks: tuple[Check, ...] = ()


_LOCAL = _Local()


def total() -> int:
    """The evaluations of this thread so far."""
    return _LOCAL.total


@contextmanager
def counting(count: int) -> Iterator[None]:
    """An evaluation that counts as so many; evaluations inside of it are part of it."""
    if _LOCAL.inside:
        yield
        return
    for check in _LOCAL.checks:
        check(count)
    _LOCAL.total += count
    _LOCAL.inside = True
    try:
        yield
    finally:
        _LOCAL.inside = False


def ask() -> None:
    """Ask in the midst of a long evaluation whether to stop there; it has been counted."""
    for check in _LOCAL.checks:
        check(0)


@contextmanager
def asking(check: Check) -> Iterator[None]:
    """Inside, every evaluation asks `check` first."""
    before = _LOCAL.checks
    _LOCAL.checks = (*before, check)
    try:
        yield
    finally:
        _LOCAL.checks = before


@contextmanager
def unasked() -> Iterator[None]:
    """Inside, evaluations are counted and nobody is asked: the little that work which was stopped ends with."""
    before, _LOCAL.checks = _LOCAL.checks, ()
    try:
        yield
    finally:
        _LOCAL.checks = before
