"""The arguments of a pair of programs: which hold something of each datum, along which axis, and picking rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from elbowroom.entrances.said import said

Key = int | str
"""An argument's position or name."""

Arguments = Mapping[Key, Any]
"""Position or name -> argument."""

Axes = dict[Key, int]
"""Argument -> the axis along which its data lie."""

PerDatum = Sequence[Key] | Mapping[Key, int] | None
"""What a user says of it: arguments with a row for each datum, or the axis of each; None to have them found."""


def named(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[int | str, Any]:
    """All arguments by position or name."""
    arguments: dict[int | str, Any] = dict(enumerate(args))
    arguments.update(kwargs)
    return arguments


def refuse_empty(arguments: Arguments) -> None:
    """Raise ValueError if a tensor among the arguments has no rows or no values; one may well have no columns."""
    for name, value in arguments.items():
        if isinstance(value, Tensor) and value.is_meta:
            raise ValueError(
                f"argument {name!r} is on the meta device (shape {tuple(value.shape)}), where tensors hold no values: "
                "give the data themselves"
            )
        if isinstance(value, Tensor) and value.dim() > 0 and len(value) == 0:
            raise ValueError(f"argument {name!r} is empty (shape {tuple(value.shape)}): there are no data to evaluate")


def not_finite(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Which rows of the arguments have NaN or infinite values, in words; empty if none has."""
    told = []
    for name, value in named(args, kwargs).items():
        if isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 0:
            rows = (~value.isfinite()).reshape(len(value), -1).any(1).nonzero().flatten().tolist()
            if rows:
                told.append(
                    f"argument {name!r} has NaN or infinite values in {len(rows)} of its rows (first rows: {rows[:8]})"
                )
    return f"{'; '.join(told)}: mend these data first, unless they are meant. With them " if told else ""


def leading_axes(arguments: Arguments, num_data: int) -> Axes:
    """Every tensor whose leading dimension is the number of data."""
    return {k: 0 for k, v in arguments.items() if isinstance(v, Tensor) and v.dim() > 0 and len(v) == num_data}


def only_axes(arguments: Arguments, num_data: int) -> Axes:
    """Every tensor of which the leading axis, or else a single one, has the number of data."""
    axes = {}
    for key, value in arguments.items():
        fits = [axis for axis, n in enumerate(value.shape) if n == num_data] if isinstance(value, Tensor) else []
        if fits[:1] == [0] or len(fits) == 1:
            axes[key] = fits[0]
    return axes


def checked_axes(chosen: Sequence[Key] | Mapping[Key, int], arguments: Arguments, num_data: int) -> Axes:
    """The axis of each chosen argument, counted from the left, if it has the number of data; otherwise ValueError."""
    axes = dict(chosen) if isinstance(chosen, Mapping) else dict.fromkeys(chosen, 0)
    for key, axis in axes.items():
        value = arguments.get(key)
        shape = tuple(value.shape) if isinstance(value, Tensor) else ()
        if not -len(shape) <= axis < len(shape) or shape[axis] != num_data:
            along = "rows" if axis == 0 else f"entries along axis {axis}"
            raise ValueError(
                f"per_datum names argument {key!r}, which is not a tensor with {num_data} {along} (it is "
                f"{shape if isinstance(value, Tensor) else type(value).__name__}). Leave per_datum out to have them "
                f"found; data on another axis are named with it: per_datum={{{key!r}: axis}}"
            )
        axes[key] = axis % len(shape)
    return axes


def as_rows(value: Tensor, axis: int) -> Tensor:
    """An argument with its data along the first axis, `[B, ...]`."""
    return value.movedim(axis, 0) if axis else value


def as_argument(rows: Tensor, axis: int) -> Tensor:
    """Rows `[B, ...]` as the argument that holds its data along an axis."""
    return rows.movedim(0, axis).contiguous() if axis else rows


def picked_rows(index: Sequence[int] | Tensor | np.ndarray, num_data: int, argument: str = "index") -> Tensor:
    """An index of data, numbers (negative ones from the end) or marks, as rows `[R]` in 0 … num_data − 1.

    Args:
        index: which data.
        num_data: of how many.
        argument: what errors call it.

    Raises:
        IndexError: if it is empty, out of range, or of another shape.
        TypeError: if it holds anything but integers, or marks.
    """
    held = not (isinstance(index, Tensor) and index.is_meta)
    picked = (index.cpu().numpy() if isinstance(index, Tensor) else _as_array(index)) if held else np.asarray("")
    if picked.dtype.kind not in "biu" and picked.size:
        raise TypeError(f"{argument} must be a list of integers, or of {num_data} marks, got {said(index)}")
    if picked.dtype == bool and picked.shape != (num_data,):
        raise IndexError(
            f"{argument}: a boolean index must have {num_data} entries, one a datum, got shape {picked.shape}"
        )
    rows = picked.nonzero()[0] if picked.dtype == bool else picked
    if rows.ndim != 1 or len(rows) == 0 or int(rows.min()) < -num_data or int(rows.max()) >= num_data:
        raise IndexError(f"{argument} must be a non-empty list of data in 0 … {num_data - 1}, got {said(index)}")
    return torch.as_tensor(rows, dtype=torch.long) % num_data


def _as_array(index: Any) -> np.ndarray:
    try:
        return np.asarray(index)
    except (ValueError, TypeError):  # rows of several lengths, tensors without values
        return np.asarray("")
