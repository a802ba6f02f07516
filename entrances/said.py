"""What was given, in a few words: errors show it whatever it is."""

from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from elbowroom.entrances.visible import one_line

_LONGEST = 60  # characters of a value that are shown


def said(value: Any) -> str:
    """A value as an error shows it: what it is, and its type where that is not plain.

    >>> said(1.5), said("x"), said(None)
    ("1.5", "'x'", "None")
    """
    if value is None or isinstance(value, bool | str):
        return _cut(repr(value))
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} of {str(value.dtype).removeprefix('torch.')} on {value.device}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, nn.Module) or callable(value):
        return f"the {type(value).__name__} {getattr(value, '__name__', '')}".rstrip()
    if isinstance(value, int | float) and type(value) in (int, float):
        return _number(value)
    return f"{_shown(value)} ({type(value).__name__})"


def likely(value: Any, names: list[str]) -> str:
    """` (did you mean 'x'?)`, or nothing."""
    by_lower = {name.lower(): name for name in names}
    near = get_close_matches(str(value).lower(), by_lower, n=1, cutoff=0.7)
    return f" (did you mean {by_lower[near[0]]!r}?)" if near else ""


def _number(value: float) -> str:
    if isinstance(value, int) and value.bit_length() > 200:  # Python refuses to write out more than 4300 digits
        return f"an integer of {value.bit_length()} bits"
    return repr(value)


def _shown(value: Any) -> str:
    try:
        return _cut(repr(value))
    except Exception:  # a repr of the user's own
        return "a value that cannot be shown"


def _cut(text: str) -> str:
    text = one_line(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
