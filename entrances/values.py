"""One value by itself, read as an argument of a public call is: for what is known inside of a function only.

Sizes of layers that a registry hands on, a number with a bound that depends on another argument, a name of a registry:
the kinds and the sentences are those of `@checked`.
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from torch import nn

from elbowroom.entrances.arguments_read import read_value
from elbowroom.entrances.ranges import EVERY, SIZE, Range
from elbowroom.entrances.said import likely, said

_COUNT = SIZE._replace(words="from 0 to 2^24", holds=lambda value: 0 <= value <= 2**24)


def check_size(name: str, value: Any) -> int:
    """`value` as an integer from 1 on.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is out of range.
    """
    return cast(int, read_value(name, value, int, SIZE))


def check_count(name: str, value: Any) -> int:
    """`value` as an integer from 0 on.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is out of range.
    """
    return cast(int, read_value(name, value, int, _COUNT))


def check_sizes(name: str, values: Any) -> tuple[int, ...]:
    """`values` as a tuple of integers from 1 on; it may be empty.

    Raises:
        TypeError: if it is no sequence, or an entry is not an integer.
        ValueError: if an entry is out of range.
    """
    return tuple(check_size(f"{name}[{i}]", v) for i, v in enumerate(read_value(name, values, Sequence[int], EVERY)))


def check_above(name: str, value: Any, bound: float) -> float:
    """`value` as a finite float strictly above `bound`.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is out of range.
    """
    return float(read_value(name, value, float, Range(f"above {bound:g} and finite", lambda number: number > bound)))


def check_at_least(name: str, value: Any, bound: float) -> float:
    """`value` as a finite float of at least `bound`.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is out of range.
    """
    return float(read_value(name, value, float, Range(f"from {bound:g} on, finite", lambda number: number >= bound)))


def check_module(name: str, value: Any) -> nn.Module:
    """`value`, an instance of `nn.Module`.

    Raises:
        TypeError: if it is a class or anything else.
    """
    return cast(nn.Module, read_value(name, value, nn.Module, EVERY))


def check_choice(name: str, value: Any, known: Iterable[str]) -> str:
    """`value`, one of the `known` names.

    Raises:
        ValueError: listing the known names, with the one that was likely meant.
    """
    names = list(known)
    if value not in names:
        listed = ", ".join(map(repr, names))
        raise ValueError(f"{name}: got {said(value)}, expected one of {listed}{likely(value, names)}")
    return str(value)
