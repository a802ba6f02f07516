"""A value as it was typed, read as the option's type says, and written as the parser takes it.

list[int]   64,64    [64,64]    64          int     1000    1_000    1e3
bool        true     false                  float   0.1     1e-3     null where there may be none
"""

import json
import math
import re
from collections.abc import Callable
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from elbowroom.commands.arguments.spelling import meant, nearest
from elbowroom.commands.arguments.yaml_text import NoYamlError, read_yaml

_MOST_DIGITS = 4000  # Python's own limit is 4300


class Unreadable(ValueError):
    """What was expected in the place of a value, or what was likely meant: the end of a sentence on what was got.

    Attributes:
        expected: what.
        near: the spelling that was likely meant.
    """

    def __init__(self, expected: str, near: str | None = None) -> None:
        super().__init__(meant(near) or f", expected {expected}")
        self.expected, self.near = expected, near


def read(name: str, text: str, hint: Any) -> str:
    """The value in the words of the parser.

    Raises:
        Unreadable: if it is none of this option; the message says what was expected.
    """
    if "*" in text and "&" in text:  # aliases, which the parser would write out
        try:
            read_yaml(text)
        except NoYamlError as error:
            raise Unreadable(f"a value without aliases (this one {error})") from error
    own = _OF_NAME.get(name.rpartition(".")[2])
    if own is not None:
        return own(text, hint)
    return _read(text.strip(), hint)


def _read(text: str, hint: Any) -> str:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _any_of(text, get_args(hint))
    if origin is Literal:
        return _choice(text, get_args(hint))
    if origin is list:
        return _list(text, get_args(hint)[0])
    if origin is dict:
        return _mapping(text)
    return _OF_TYPE.get(hint, lambda given: given)(text)


def _any_of(text: str, hints: tuple[Any, ...]) -> str:
    """The first type that can read it; a string can, so it comes last."""
    is_choice = any(get_origin(hint) is Literal and text in get_args(hint) for hint in hints)
    nothing = ("null",) if str in hints else ("null", "none", "")
    if type(None) in hints and text.lower() in nothing and not is_choice:
        return "null"
    refusals = []
    for hint in sorted((one for one in hints if one is not type(None)), key=lambda one: one is str):
        try:
            return _read(text, hint)
        except Unreadable as error:
            refusals.append(error)
    near = next((error.near for error in refusals if error.near), None)
    raise Unreadable(" or ".join(dict.fromkeys(error.expected for error in refusals)), near)


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text in choices:
        return text
    raise Unreadable(_or(choices), nearest(text, choices))


def _list(text: str, hint: Any) -> str:
    inside = text[1:-1] if text[:1] in "[(" and text[-1:] in "])" and len(text) > 1 else text
    entries = [part for part in re.split(r"\s*,\s*|\s+", inside.strip()) if part]
    try:
        return f"[{','.join(_read(entry.strip(chr(34) + chr(39)), hint) for entry in entries)}]"
    except Unreadable:
        what, example = ("whole numbers", "64,64") if hint is int else ("names", "a,b")
        raise Unreadable(f"{what} such as {example}") from None


def _mapping(text: str) -> str:
    try:
        value = read_yaml(text)
    except NoYamlError:
        value = None
    if not isinstance(value, dict):
        raise Unreadable("names with values, such as '{latent_dim: 10}'")
    return text


def _whole(text: str) -> str:
    if re.fullmatch(r"[-+]?\d[\d_]*", text):
        if len(text) > _MOST_DIGITS:
            raise Unreadable(f"a whole number of at most {_MOST_DIGITS} digits")
        return str(int(text))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value.is_integer():  # nor are NaN and infinities
        raise Unreadable("a whole number")
    return str(int(value))


def _number(text: str) -> str:
    try:
        return repr(float(text))
    except ValueError:
        raise Unreadable("a number") from None


def _flag(text: str) -> str:
    if text.lower() in ("true", "yes"):
        return "true"
    if text.lower() in ("false", "no"):
        return "false"
    raise Unreadable("true or false", nearest(text, ("true", "false")))


def _budget(text: str, hint: Any) -> str:
    if type(None) in get_args(hint) and text.lower() in ("null", "none"):
        return "null"
    read = re.fullmatch(r"\s*([-+.\d_eE,]+)\s*([A-Za-z]*)\s*", text)
    try:
        number = float(read[1].replace(",", "")) if read else None
    except ValueError:
        number = None
    if read is None or number is None:
        raise Unreadable("seconds, or '2e5 evaluations'")
    if read[2] not in ("", "s", "seconds", "evaluations"):
        unit = nearest(read[2], ("seconds", "evaluations"))
        raise Unreadable("seconds, or '2e5 evaluations'", unit and f"'{read[1]} {unit}'")
    return text if read[2] == "evaluations" else repr(number)


def _or(choices: tuple[Any, ...]) -> str:
    *first, last = map(str, choices)
    return f"{', '.join(first)} or {last}" if first else last


def written(value: Any) -> str:
    """A value of a YAML or JSON file as it would be typed."""
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str, ensure_ascii=False)


_OF_TYPE: dict[Any, Callable[[str], str]] = {int: _whole, float: _number, bool: _flag}

_OF_NAME: dict[str, Callable[[str, Any], str]] = {"budget": _budget}
"""What is written in a way of its own."""
