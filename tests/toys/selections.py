"""Which parameters of a test are for the quick suite."""

from collections.abc import Iterable
from typing import Any

import pytest


def rest_slow(values: Iterable[Any], quick: int) -> list[Any]:
    """The values as parameters of a test: the first few are tried by `make test`, the others by `make test-all`."""
    return [
        value if place < quick else pytest.param(*_each(value), marks=pytest.mark.slow)
        for place, value in enumerate(values)
    ]


def every(step: int, values: Iterable[Any]) -> list[Any]:
    """The values as parameters of a test, of which every so many-th is tried by `make test`, and all by `test-all`."""
    return [
        value if place % step == 0 else pytest.param(*_each(value), marks=pytest.mark.slow)
        for place, value in enumerate(values)
    ]


def all_but_slow(values: Iterable[str], slow: Iterable[str]) -> list[Any]:
    """The names as parameters of a test, of which those in `slow` take long and are tried by `make test-all`."""
    names, long = list(values), set(slow)
    assert long <= set(names), f"no such parameter: {', '.join(sorted(long - set(names)))}"
    return [pytest.param(name, marks=pytest.mark.slow) if name in long else name for name in names]


def _each(value: Any) -> tuple[Any, ...]:
    return value if type(value) is tuple else (value,)
