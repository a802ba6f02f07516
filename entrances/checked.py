"""The decorator of public functions: every argument is held against its annotation and its name before any work.

torch is imported at the first call: what is read without it, such as registries of names, may be decorated, too.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which refuses wrong arguments before it begins.

    An argument must be what its annotation says, and numbers in it must lie in the range of its name (`RANGES`).
    Integers and floats of NumPy and tensors without dims are handed on as Python's own; defaults are not looked at.
    Signature, docstring and types stay. A call costs some three microseconds.

    Raises (on a call):
        TypeError: an argument of a wrong type, or none of the function's.
        ValueError: a number out of range, or none of the texts that are known.
    """
    read: Callable[..., Any] | None = None

    @wraps(function)
    def entrance(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal read
        if read is None:  # not before: annotations may name what is defined further down
            from elbowroom.entrances.arguments_read import reader_of

            read = reader_of(function)
        return function(*read(args, kwargs), **kwargs)

    return entrance


def check_fields(result: Any) -> None:
    """The same of the fields of a dataclass, for its `__post_init__`."""
    from elbowroom.entrances.arguments_read import read_fields

    read_fields(result)
