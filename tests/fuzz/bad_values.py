"""What is wrong for an argument, by its annotation: values with a name for reports."""

import inspect
import random
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import numpy as np
import torch
from torch import Tensor, nn


class Bad(NamedTuple):
    """A value that should be refused, and what to call it."""

    label: str
    value: Any


class Stranger:
    """Nothing that any function knows."""

    def __repr__(self) -> str:
        return "Stranger()"


def function(*args: Any) -> None:
    """No program, no network."""


NAN, INFINITY, HUGE = float("nan"), float("inf"), 10**18

OTHERS: dict[str, Any] = {
    "None": None,
    "'x'": "x",
    "''": "",
    "3": 3,
    "1.5": 1.5,
    "True": True,
    "1j": 1j,
    "[]": [],
    "[3]": [3],
    "['x']": ["x"],
    "{}": {},
    "bytes": b"x",
    "a stranger": Stranger(),
    "a class": Stranger,
    "a function": function,
    "a tensor [2, 3]": torch.zeros(2, 3),
    "a meta tensor": torch.zeros(2, 3, device="meta"),
    "an array [2, 3]": np.zeros((2, 3)),
    "a module": nn.Linear(2, 2),
}
"""Of many types: those that an annotation admits are left out."""

NUMBERS: dict[str, Any] = {
    "0": 0,
    "-1": -1,
    "10^18": HUGE,
    "2^64": 2**64,
    "10^400": 10**400,
    "'3'": "3",
    "nan": NAN,
    "inf": INFINITY,
    "-inf": -INFINITY,
    "numpy nan": np.float64(NAN),
    "numpy 1.5": np.float32(1.5),
    "numpy True": np.bool_(True),
    "a nan tensor": torch.tensor(NAN),
    "numpy -1": np.int64(-1),
}
FLOATS: dict[str, Any] = {"0.0": 0.0, "-1.5": -1.5, "1e300": 1e300, "2.0": 2.0}
TEXTS: dict[str, Any] = {"no such name": "no such name", "a NUL": "a\0b", "400 letters": "x" * 400}
TENSORS: dict[str, Any] = {
    "nan tensor": torch.full((5, 4), NAN),
    "inf tensor": torch.full((5, 4), INFINITY),
    "empty tensor": torch.zeros(0, 4),
    "0-d tensor": torch.tensor(1.0),
    "bool tensor": torch.ones(5, 4, dtype=torch.bool),
    "complex tensor": torch.ones(5, 4, dtype=torch.complex64),
    "7 rows": torch.zeros(7, 4),
    "many axes": torch.zeros(2, 2, 2, 2, 2),
}


def bad_values(hint: Any) -> list[Bad]:
    """Values that an annotation does not admit, and those of its own type that may be out of range."""
    parts = _parts(hint)
    own = [bad for part in parts for bad in _of_own_type(part)]
    others = [Bad(label, value) for label, value in OTHERS.items() if not any(_fits(part, value) for part in parts)]
    numeric = any(part in (int, float) for part in parts)  # else 3 and 1.5 say it all
    numbers = [Bad(label, value) for label, value in NUMBERS.items() if not any(_fits(part, value) for part in parts)]
    return list({bad.label: bad for bad in own + others + numbers * numeric}.values())


def _parts(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [part for each in get_args(hint) for part in _parts(each)]
    return [hint]


def _of_own_type(part: Any) -> Iterator[Bad]:
    origin = get_origin(part) or part
    if part is int:
        yield from (Bad(label, value) for label, value in NUMBERS.items() if isinstance(value, int | np.integer))
    elif part is float:
        yield from (Bad(label, value) for label, value in (NUMBERS | FLOATS).items() if _is_number(value))
    elif part is str:
        yield from (Bad(label, value) for label, value in TEXTS.items())
    elif part is Tensor:
        yield from (Bad(label, value) for label, value in TENSORS.items())
    elif origin is Literal:
        yield Bad("no such name", "no such name")
    elif _is(origin, Sequence) and get_args(part):
        yield Bad("an empty list", [])
        for bad in bad_values(get_args(part)[0]):
            yield Bad(f"[{bad.label}]", [bad.value])
    elif _is(origin, Mapping):
        yield from (Bad("keyed by 3", {3: torch.zeros(2, 3)}), Bad("unknown key", {"no such key": torch.zeros(2, 3)}))


def _is_number(value: Any) -> bool:
    return not isinstance(value, str | bool | np.bool_)


def _fits(part: Any, value: Any) -> bool:
    """Whether a value is of the type: of ranges and contents nothing is known here."""
    origin = get_origin(part) or part
    if part is Any or isinstance(part, str) or (not isinstance(origin, type) and origin is not Literal):
        return part is not None and (part is Any or not isinstance(part, type))
    if part is type(None):
        return value is None
    if origin is Literal:
        return any(value is known for known in get_args(part))
    if part is bool:
        return isinstance(value, bool | np.bool_)
    if part is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    if part is float:
        return isinstance(value, int | float | np.number) and not isinstance(value, bool | complex)
    if part is PathLike:
        return isinstance(value, PathLike)
    if origin is Callable or origin.__name__ == "Callable":
        return callable(value)
    if _is(origin, Sequence):
        return isinstance(value, list | tuple) and (not value or _all_fit(part, value))
    if _is(origin, Mapping):
        return isinstance(value, Mapping)
    if getattr(origin, "_is_protocol", False):
        return False
    return isinstance(value, origin)


def _all_fit(part: Any, value: Sequence[Any]) -> bool:
    inner = get_args(part)
    return not inner or all(any(_fits(p, each) for p in _parts(inner[0])) for each in value)


def _is(origin: Any, abstract: type) -> bool:
    return inspect.isclass(origin) and origin not in (str, bytes, Tensor, Path) and issubclass(origin, abstract)


def some(values: Sequence[Any], number: int, seed: int) -> list[Any]:
    """A random sample, in the order of the values."""
    picked = sorted(random.Random(seed).sample(range(len(values)), min(number, len(values))))
    return [values[i] for i in picked]
