"""Any result as flat numbers by name, and which of them belong to single data."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Leaves = dict[str, Any]
"""Path within a result, such as `ladder.mean-field.value`, to a tensor, a string, a number or None."""

CLOCK = ("seconds", "forecast")
"""What is measured with a clock is not a function of the data."""


def leaves(result: Any) -> Leaves:
    """Tensors, numbers and texts of a result made of dataclasses, mappings and sequences, by path."""
    return {path: value for path, value in _walk(result, "") if not any(part in CLOCK for part in path.split("."))}


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if value is None or isinstance(value, Tensor | str | bool | int | float):
        yield path, value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _walk(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _walk(part, f"{path}.{name}".lstrip("."))
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for name in value._fields:
            yield from _walk(getattr(value, name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, Sequence) and all(isinstance(part, str) for part in value):
        yield path, tuple(value)
    elif isinstance(value, Sequence):
        for i, part in enumerate(value):
            yield from _walk(part, f"{path}.{i}".lstrip("."))


def data_axes(result: Leaves, num_data: int) -> dict[str, int]:
    """The axis of the data in each leaf that has one: the first of their number, which nothing else may share."""
    return {path: shape.index(num_data) for path, value in result.items() if num_data in (shape := _shape(value))}


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, Tensor) else (len(value),) if isinstance(value, tuple) else ()


def taken(value: Any, axis: int, data: Sequence[int]) -> Any:
    """Some of the data of a leaf."""
    if isinstance(value, Tensor):
        return value.index_select(axis, torch.as_tensor(data))
    return tuple(value[b] for b in data)


def same(found: Any, expected: Any, tolerance: float, path: str) -> None:
    """Two leaves are equal: numbers within the tolerance, relative or absolute, and texts to the letter."""
    if isinstance(expected, Tensor) and expected.is_floating_point():
        torch.testing.assert_close(
            found, expected, rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda text: f"{path}: {text}"
        )
    elif isinstance(expected, Tensor):
        assert torch.equal(found, expected), f"{path}: {found} is not {expected}"
    elif isinstance(expected, float):
        same(torch.tensor(found), torch.tensor(expected), tolerance, path)
    else:
        assert found == expected, f"{path}: {found!r} is not {expected!r}"
