"""The arguments of one call read by the kinds of its function, and the sentences that refuse them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, get_type_hints

from torch import Tensor

from elbowroom.entrances.kinds import REFUSED, Kind, kind_of
from elbowroom.entrances.ranges import EVERY, Range, range_of
from elbowroom.entrances.said import likely, said

Reader = Callable[[tuple[Any, ...], dict[str, Any]], list[Any]]
"""Positional arguments and, in place, those by name, to what the function is given."""


def reader_of(function: Callable[..., Any]) -> Reader:
    """Reads the arguments of a function.

    Raises (on a call):
        TypeError, ValueError: as `checked`.
    """
    parameters = inspect.signature(function).parameters
    order = [name for name, p in parameters.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((name for name, p in parameters.items() if p.kind is p.VAR_POSITIONAL), None)
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    kinds = kinds_of(function)

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        given = list(args)
        for i, value in enumerate(given):
            name = order[i] if i < len(order) else rest
            if name is not None and (kind := kinds.get(name)) is not None:
                given[i] = kind.read(value)
                if given[i] is REFUSED:
                    _refuse(function, name, value, kind)
        for name, value in kwargs.items():
            if (kind := kinds.get(name)) is not None:
                kwargs[name] = kind.read(value)
                if kwargs[name] is REFUSED:
                    _refuse(function, name, value, kind)
            elif name not in parameters and not is_open:
                _unknown(function, name, parameters)
        return given

    return read


def read_fields(result: Any) -> None:
    """Read the fields of a frozen dataclass, in place."""
    for name, kind in kinds_of(type(result)).items():
        value = getattr(result, name)
        found = kind.read(value)
        if found is REFUSED:
            _refuse(type(result), name, value, kind)
        if found is not value:
            object.__setattr__(result, name, found)


def read_value(name: str, value: Any, hint: Any, within: Range) -> Any:
    """A value as a type hint and a range say.

    Raises:
        TypeError: if it is of a wrong type.
        ValueError: if it is out of range.
    """
    kind = kind_of(hint, within)
    if kind is None or (found := kind.read(value)) is not REFUSED:
        return value if kind is None else found
    raise _refusal(name, value, kind, hint, within.remedy)


def kinds_of(function: Callable[..., Any]) -> dict[str, Kind]:
    """Argument -> what it may be, of those that may not be anything."""
    kinds = {name: kind_of(hint, range_of(name)) for name, hint in get_type_hints(function).items() if name != "return"}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def _refuse(function: Callable[..., Any], name: str, value: Any, kind: Kind) -> NoReturn:
    hint = get_type_hints(function)[name]
    raise _refusal(name, value, kind, hint, range_of(name).remedy)


def _refusal(name: str, value: Any, kind: Kind, hint: Any, remedy: str) -> Exception:
    """ValueError where the type is right, else TypeError."""
    open_kind = kind_of(hint, EVERY)
    is_right = open_kind is None or open_kind.read(value) is not REFUSED
    if kind.element is not None and isinstance(value, list | tuple):
        wrong = [i for i, entry in enumerate(value) if kind.element.read(entry) is REFUSED]
        if wrong:
            name, value, kind = f"{name}[{wrong[0]}]", value[wrong[0]], kind.element
    instead = f": {remedy}" if remedy and is_right and not isinstance(value, Tensor) else ""
    error = ValueError if is_right else TypeError
    return error(f"{name} must be {kind.words}, got {said(value)}{instead}")


def _unknown(function: Callable[..., Any], name: str, parameters: Mapping[str, Any]) -> NoReturn:
    names = [known for known in parameters if known != "self"]
    raise TypeError(f"{function.__name__}() has no argument {name!r}{likely(name, names)}; it takes {', '.join(names)}")
