"""Results of disjoint data made one: for dataclasses whose tensors have a row for each datum."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from elbowroom.inference.target import Target

T = TypeVar("T")


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
            return torch.cat([value.to(one.device) for value in values]) if one.dim() else one
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


_PER_DATUM = ("flags", "notes", "method", "why_not", "doubts", "unnormalised")
"""Names of tuples that have an entry for each datum (others, such as names of latents, are of the programs)."""
