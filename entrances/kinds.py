"""What an annotation admits: each type hint of a public function as a reader of values, with words for errors."""

import operator
import os
import types
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import is_protocol

from elbowroom.entrances.ranges import EVERY, Range, is_in

_WHOLE = 2**53  # beyond it floats are no longer all integers

_NAME = 255  # bytes: file systems have no longer names

REFUSED: Any = object()
"""What `Kind.read` returns of a value that it does not admit."""

_HINTS = {
    "Target": "made by Target(model, guide, x)",
    "Draws": "as hmc(target) or nuts(target) return",
    "Estimate": "as importance(target) or quadrature(target) return, or one side of a bracket",
    "Bracket": "as bracket(target) returns",
    "Audit": "as audit(model, guide, x) returns",
    "Comparison": "as compare(target) returns",
    "Decomposition": "as decompose(target) returns",
    "Gates": "such as Gates(rhat=1.01)",
    "Evaluations": "such as Evaluations(2e5)",
    "CodeUsage": "as code_usage(codes, num_codes) returns",
    "Versus": "as versus(a, b) returns",
    "Dataset": "as load('digits') returns",
    "Density": "as make_density(name, data_dim) returns",
    "Drawn": "such as Drawn(x)",
    "Figure": "as matplotlib and the figures of elbowroom.report are",
    "Module": "an instance, not its class",
    "device": "such as torch.device('cpu')",
}
"""Class -> where one of it comes from."""


class Kind(NamedTuple):
    """What an argument may be.

    Attributes:
        words: for errors: "an integer from 1 to 10".
        read: the value as the function is given it (numbers of NumPy and tensors without dims as Python's own), or
            `REFUSED`.
        element: of a sequence, what each entry may be.
    """

    words: str
    read: Callable[[Any], Any]
    element: "Kind | None" = None


def kind_of(hint: Any, within: Range) -> Kind | None:
    """The kind of values that a type hint admits, with numbers in a range; None where it admits any."""
    if hint is None or hint is type(None):
        return Kind("None", lambda value: None if value is None else REFUSED)
    if hint in _PLAIN:
        return _PLAIN[hint](within)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        parts = get_args(hint)
        if any(_is(get_origin(part) or part, os.PathLike) for part in parts):  # then a text is a path, too
            parts = tuple(os.PathLike if part is str else part for part in parts)
        return _union([kind_of(part, within) for part in parts])
    if origin is Literal:
        return _one_of(get_args(hint), within)
    if _is(origin or hint, os.PathLike):
        return _path(within)
    if origin is tuple or hint is tuple or _is(origin or hint, Sequence):
        return _sequence(get_args(hint), within)
    if _is(origin or hint, Mapping):
        return _mapping(get_args(hint), within)
    if (origin or hint) is Callable:
        return Kind(
            "a callable such as a function or a Pyro program", lambda value: value if callable(value) else REFUSED
        )
    return _instance(origin or hint)


def _is(hint: Any, abstract: type) -> bool:
    return isinstance(hint, type) and hint not in (str, bytes) and issubclass(hint, abstract)


def _union(kinds: list[Kind | None]) -> Kind | None:
    known = [kind for kind in kinds if kind is not None]
    if len(known) < len(kinds):
        return None
    readers = [kind.read for kind in known]

    def read(value: Any) -> Any:
        for each in readers:
            if (found := each(value)) is not REFUSED:
                return found
        return REFUSED

    words = list(dict.fromkeys(kind.words for kind in known if kind.words != "None"))
    if any(kind.words == "None" for kind in known):
        words.append("None")
    return Kind(", or ".join(words), read, next((kind.element for kind in known if kind.element), None))


def _one_of(values: tuple[Any, ...], within: Range) -> Kind:
    def read(value: Any) -> Any:
        alike = [known for known in values if type(known) is type(value)]
        return value if value in alike or (alike and within is EVERY) else REFUSED

    return Kind(f"one of {', '.join(map(repr, values))}", read)


def _sequence(parts: tuple[Any, ...], within: Range) -> Kind:
    """Of `Sequence[A]` and `tuple[A, ...]` any length, of `tuple[A, B]` two; arrays and tensors of one axis, too."""
    exact = len(parts) if parts and Ellipsis not in parts and len(parts) > 1 else None
    element = kind_of(parts[0], within) if parts else None
    holds_tensors = bool(parts) and any(part in (Tensor, np.ndarray) for part in (parts[0], *get_args(parts[0])))
    several = f"a tuple of {exact}" if exact else f"a sequence such as a list{', not empty' if within.least else ''}"

    def read(value: Any) -> Any:
        if isinstance(value, Tensor | np.ndarray) and not holds_tensors:
            if value.ndim != 1 or len(value) < within.least or (isinstance(value, Tensor) and value.is_meta):
                return REFUSED
            return value if element is None or _all(element, value.tolist()) else REFUSED
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            return REFUSED
        if len(value) < within.least or exact not in (None, len(value)):
            return REFUSED
        ends = (value[:1], value[-1:]) if isinstance(value, range) else (value,)  # of a range they say it all
        return value if element is None or all(_all(element, part) for part in ends) else REFUSED

    return Kind(f"{several}, each {element.words}" if element else several, read, element)


def _all(kind: Kind, values: Sequence[Any]) -> bool:
    return all(kind.read(value) is not REFUSED for value in values)


def _mapping(parts: tuple[Any, ...], within: Range) -> Kind:
    kinds = [kind_of(part, within) for part in parts] or [None, None]
    key, item = kinds

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return REFUSED
        if key is not None and not _all(key, list(value)):
            return REFUSED
        return value if item is None or _all(item, list(value.values())) else REFUSED

    if key is None or item is None:
        return Kind("a mapping such as a dict", read)
    return Kind(f"a mapping, each key {key.words}, each value {item.words}", read)


def _instance(hint: Any) -> Kind | None:
    """Of a class its instances. Of protocols the functions say better what is missing."""
    if not isinstance(hint, type) or hint is object or is_protocol(hint):
        return None
    article = "an" if hint.__name__[0] in "AEIO" else "a"
    source = f", {_HINTS[hint.__name__]}" if hint.__name__ in _HINTS else ""
    return Kind(f"{article} {hint.__name__}{source}", lambda value: value if isinstance(value, hint) else REFUSED)


# Plain types ---------------------------------------------------------------------------------------------------------


def _integer(within: Range) -> Kind:
    def read(value: Any) -> Any:
        if type(value) is not int:
            if isinstance(value, bool | np.bool_) or not hasattr(value, "__index__"):
                return REFUSED
            if isinstance(value, Tensor) and (value.is_meta or value.dim() > 0 or value.dtype is torch.bool):
                return REFUSED
            try:
                value = operator.index(value)
            except TypeError:  # of an array, or a tensor of floats
                return REFUSED
        return value if is_in(value, within) else REFUSED

    return Kind(f"an integer {within.words}".rstrip(), read)


def _number(within: Range) -> Kind:
    def read(value: Any) -> Any:
        if type(value) is not float and type(value) is not int:
            if isinstance(value, bool | np.bool_):
                return REFUSED
            if isinstance(value, Tensor | np.ndarray):
                scalar = value.ndim == 0 and not (isinstance(value, Tensor) and value.is_meta)
                value = value.item() if scalar else REFUSED
            if isinstance(value, bool) or not isinstance(value, Real):
                return REFUSED
            value = float(value)
        if type(value) is int and abs(value) > _WHOLE:
            value = float(value) if value.bit_length() < 1024 else REFUSED
        return value if value is not REFUSED and is_in(value, within) else REFUSED

    return Kind(f"a number {within.words}" if within.words else "a finite number", read)


def _text(within: Range) -> Kind:
    return Kind("a str", lambda value: value if isinstance(value, str) else REFUSED)


def _truth(within: Range) -> Kind:
    return Kind("True or False", lambda value: bool(value) if isinstance(value, bool | np.bool_) else REFUSED)


def _path(within: Range) -> Kind:
    def read(value: Any) -> Any:
        if within is EVERY and isinstance(value, str | os.PathLike):
            return value
        text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
        named = isinstance(text, str) and text and "\0" not in text
        return value if named and all(len(os.fsencode(p)) <= _NAME for p in str(text).split(os.sep)) else REFUSED

    return Kind(f"a path (a str or pathlib.Path, names of at most {_NAME} bytes)", read)


def _tensor(within: Range) -> Kind:
    """Any tensor of real numbers that holds values: those of the meta device have a shape alone."""

    def read(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.is_meta or value.is_complex():
            return REFUSED
        return value if within is EVERY or within.fits(value) else REFUSED

    return Kind(f"a torch.Tensor of real values {within.tensor}".rstrip(), read)


def _module(within: Range) -> Kind:
    return Kind("an instance of a torch.nn.Module", lambda value: value if isinstance(value, nn.Module) else REFUSED)


def _array(within: Range) -> Kind:
    return Kind("a NumPy array", lambda value: value if isinstance(value, np.ndarray) else REFUSED)


def _anything(within: Range) -> None:
    return None


_PLAIN: dict[Any, Callable[[Range], Kind | None]] = {
    int: _integer,
    float: _number,
    str: _text,
    bool: _truth,
    Tensor: _tensor,
    nn.Module: _module,
    np.ndarray: _array,
    Any: _anything,
    object: _anything,
}
