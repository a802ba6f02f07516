"""Checks of single arguments: what was got, what was expected."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from elbowroom.entrances.said import likely
from elbowroom.inference.programs.structure import ProgramError


def check_integer(name: str, value: object, smallest: int) -> None:
    """Raise TypeError or ValueError unless it is an integer ≥ `smallest`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer >= {smallest}, got {value!r} ({type(value).__name__})")
    if value < smallest:
        raise ValueError(f"{name} must be an integer >= {smallest}, got {value}")


def check_positive(name: str, value: object) -> None:
    """Raise ValueError unless it is a finite number > 0."""
    if not (is_number(value) and 0 < value < math.inf):  # type: ignore[operator]
        raise ValueError(f"{name} must be a positive finite number, got {value!r}")


def check_at_least_zero(name: str, value: object, unit: str) -> None:
    """Raise ValueError unless it is a finite number ≥ 0."""
    if not (is_number(value) and 0 <= value < math.inf):  # type: ignore[operator]
        raise ValueError(f"{name} must be a number{unit} >= 0, got {value!r}")


def check_registered(name: str, value: str, registry: Iterable[str], place: str = "") -> None:
    """Raise ValueError, listing the known names and what was likely meant, unless it is one of them."""
    names = sorted(registry)
    if value not in names:
        raise ValueError(f"{place}unknown {name} {value!r}{likely(value, names)}; known: {', '.join(names) or 'none'}")


def is_number(value: object) -> bool:
    """Whether it is an int or a float; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@contextmanager
def of_argument(name: str) -> Iterator[None]:
    """Errors of programs and their data say which argument the data are."""
    try:
        yield
    except ProgramError as error:
        raise type(error)(f"{name}: {error}") from error
