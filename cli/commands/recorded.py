"""Options as config.json records them: a stranger's file may say anything, so each is held against its type."""

from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

MOST = 10_000_000
"""The largest number, and the most entries of a list, that a constructor of the registries may be told by a file."""


def recorded(kind: type[T], values: Any, config: Path, group: str) -> T:
    """The options of a group, as a file has them.

    Args:
        kind: of the options.
        values: what the file says.
        config: the file.
        group: how it calls them.

    Raises:
        ValueError: naming the file, and the option that is none, or of another type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{config} is damaged: {group} is a {type(values).__name__}, expected an object")
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            raise ValueError(f"{config} is damaged or of another version: {group} has no option {name!r}")
        if not fits(value, hints[name]):
            raise ValueError(f"{config} is damaged: {group}.{name} is {_short(value)}, expected {_said(hints[name])}")
        if is_huge(value):
            raise ValueError(f"{config} is damaged: {group}.{name} holds a number or a list beyond {MOST:,}")
    return kind(**values)


def fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON is of a type of options."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin is list:
        return isinstance(value, list) and all(fits(one, inner[0]) for one in value)
    if origin is dict:
        return isinstance(value, Mapping)
    if hint is type(None):
        return value is None
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


def is_huge(value: Any) -> bool:
    """Whether a number, or a list, in it is larger than any that a constructor is told in earnest."""
    if isinstance(value, Mapping):
        return any(map(is_huge, value.values()))
    if isinstance(value, list):
        return len(value) > MOST or any(map(is_huge, value))
    return isinstance(value, int | float) and not abs(value) <= MOST


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _said(hint: Any) -> str:
    return str(getattr(hint, "__name__", hint)).replace("typing.", "") if get_origin(hint) is None else str(hint)
