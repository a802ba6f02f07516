"""Results of some data out of results of all of them, and back: for dataclasses whose tensors have a row a datum."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from elbowroom.inference.target import Target

T = TypeVar("T")


def pick(result: T, rows: Sequence[int], num_data: int) -> T:
    """The result for some of the data: tensors and tuples with a row for each of B data are cut."""

    def cut(value: Any) -> Any:
        if isinstance(value, Tensor) and value.dim() and len(value) == num_data:
            return value[list(rows)]
        if isinstance(value, tuple) and len(value) == num_data:
            return tuple(value[row] for row in rows)
        return _through(value, cut)

    return cut(result)


def joined(parts: Sequence[T], target: Target) -> T:
    """Results of disjoint data, one after the other; what is not per datum is the first one's, `seconds` the sum.

    Args:
        parts: results of the same kind.
        target: the data of all of them, in order; it takes the place of theirs.
    """

    def join(name: str, values: Sequence[Any]) -> Any:
        one = values[0]
        if isinstance(one, Target):
            return target
        if isinstance(one, Tensor):
            return torch.cat(list(values)) if one.dim() else one
        if isinstance(one, tuple) and name in _PER_DATUM:
            return tuple(item for value in values for item in value)
        if isinstance(one, dict):
            return {key: join(name if name in _PER_DATUM else key, [value[key] for value in values]) for key in one}
        if is_dataclass(one) and not isinstance(one, type):
            return type(one)(
                **{f.name: join(f.name, [getattr(value, f.name) for value in values]) for f in fields(one)}
            )
        return sum(values) if name == "seconds" else one

    return join("", parts)


_PER_DATUM = ("flags", "notes", "method", "why_not")
"""Names of tuples that have an entry for each datum (others, such as names of latents, are of the programs)."""


def _through(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {key: change(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, (type, Target)):
        return type(value)(**{f.name: change(getattr(value, f.name)) for f in fields(value)})
    return value
