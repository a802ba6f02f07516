"""Answers as columns: a number or a text for each datum, and what is said of all of them at once.

A column is named by where it stands in an estimate: `importance/value`, `importance/stderr`, `importance/flag`,
`importance/unnormalised`, `importance/info/ess`, `importance/info/iwae/5`. Of `info` all is kept that has one value for
each datum or one for all; draws, paths and seconds are not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate

KEY = "key"
"""The column of keys: which datum this is, as 64 bits of a signed integer."""

FIRST = "first_log_weight"
"""The column of log w of the guide's first draw for each datum, nats: which programs these are."""

_OF_THE_CLOCK = ("seconds",)


@dataclass(frozen=True)
class Columns:
    """What is known of R data.

    Attributes:
        numbers: name -> `[R]`.
        texts: name -> R of them; columns in which all are empty are left out.
        constants: name -> the values that are said of some of the data, each once.
    """

    numbers: Mapping[str, Tensor]
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers[KEY])


def columns_of(answer: Mapping[str, Estimate[Any]], keys: Tensor, first: Tensor) -> Columns:
    """The columns of estimates of the same data, which have these keys `[R]`, int64, and first weights `[R]`."""
    numbers: dict[str, Tensor] = {KEY: keys, FIRST: first.detach().double().cpu()}
    texts: dict[str, tuple[str, ...]] = {}
    constants: dict[str, tuple[Any, ...]] = {}
    for name, estimate in answer.items():
        parts: dict[str, Any] = {"value": estimate.value, "stderr": estimate.stderr, "bound": estimate.bound}
        parts |= {"flag": estimate.flags, "unnormalised": estimate.unnormalised}
        parts |= {f"info/{key}": value for key, value in _flat(estimate.info).items()}
        for part, value in parts.items():
            column = f"{name}/{part}"
            if isinstance(value, Tensor):
                if value.shape == keys.shape:
                    numbers[column] = value.detach().cpu()
            elif isinstance(value, tuple) and len(value) == len(keys) and all(isinstance(text, str) for text in value):
                if any(value):
                    texts[column] = value
            elif isinstance(value, bool | int | float | str):
                constants[column] = (value,)
    return Columns(numbers, texts, constants)


def joined(columns: Sequence[Columns]) -> Columns:
    """Columns of some data and of the next ones; where a column is missing it is zero, NaN or empty."""
    kinds = {name: value.dtype for one in columns for name, value in one.numbers.items()}
    numbers = {name: torch.cat([number(one, name, dtype) for one in columns]) for name, dtype in kinds.items()}
    names = dict.fromkeys(name for one in columns for name in one.texts)
    texts = {name: tuple(text for one in columns for text in text_of(one, name)) for name in names}
    return Columns(numbers, texts, merged_constants(one.constants for one in columns))


def number(columns: Columns, name: str, dtype: torch.dtype) -> Tensor:
    """A column of numbers, or what stands for one that is not there."""
    if name in columns.numbers:
        return columns.numbers[name].to(dtype)
    return torch.full((len(columns),), torch.nan if dtype.is_floating_point else 0, dtype=dtype)


def text_of(columns: Columns, name: str) -> tuple[str, ...]:
    """A column of texts, empty ones if it is not there."""
    return columns.texts.get(name, ("",) * len(columns))


def merged_constants(constants: Iterable[Mapping[str, tuple[Any, ...]]]) -> dict[str, tuple[Any, ...]]:
    """The values that are said of some of the data, each once, in an order that does not depend on who said them."""
    found: dict[str, set[Any]] = {}
    for one in constants:
        for name, values in one.items():
            found.setdefault(name, set()).update(values)
    return {name: tuple(sorted(values, key=lambda value: (str(type(value)), value))) for name, values in found.items()}


def estimates_of(columns: Columns) -> dict[str, Estimate[Any]]:
    """The estimates back again, without what is not kept of them."""
    everything: dict[str, Any] = {**columns.numbers, **columns.texts}
    everything |= {name: _one(values) for name, values in columns.constants.items()}
    names = dict.fromkeys(column.split("/", 1)[0] for column in everything if column.endswith("/value"))
    return {name: _estimate(name, everything) for name in names}


def _estimate(name: str, everything: Mapping[str, Any]) -> Estimate[Any]:
    parts = {column.removeprefix(f"{name}/"): v for column, v in everything.items() if column.startswith(f"{name}/")}
    info: dict[str, Any] = {}
    for part, value in parts.items():
        if not part.startswith("info/"):
            continue
        key, *inner = part.split("/")[1:]
        if inner == [""]:
            info[key] = {}
        elif inner:
            info.setdefault(key, {})[int(inner[0]) if inner[0].isdigit() else inner[0]] = value
        else:
            info[key] = value
    flags, unnormalised = parts.get("flag", ()), parts.get("unnormalised", ())
    return Estimate(parts["value"], parts["stderr"], parts["bound"], info, flags, unnormalised)


def _flat(info: Mapping[Any, Any]) -> dict[str, Any]:
    """`info` with the entries of mappings in it under `key/inner key`."""
    found: dict[str, Any] = {}
    for key, value in info.items():
        if isinstance(value, Mapping):
            found |= {f"{key}/{inner}": one for inner, one in value.items()} or {f"{key}/": True}  # that it is empty
        elif key not in _OF_THE_CLOCK:
            found[str(key)] = value
    return found


def _one(values: tuple[Any, ...]) -> Any:
    """The value that is said of all data; if there are several, the largest number, or all texts."""
    if len(values) == 1:
        return values[0]
    return " / ".join(map(str, values)) if isinstance(values[0], str) else max(values)
