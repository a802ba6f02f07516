"""The arguments of a pair of programs: which of them have a row for each datum, and picking rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Arguments = Mapping[int | str, Any]
"""Position or name -> argument."""


def named(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[int | str, Any]:
    """All arguments by position or name."""
    arguments: dict[int | str, Any] = dict(enumerate(args))
    arguments.update(kwargs)
    return arguments


def refuse_empty(arguments: Arguments) -> None:
    """Raise ValueError if a tensor among the arguments has no entries."""
    for name, value in arguments.items():
        if isinstance(value, Tensor) and value.dim() > 0 and value.numel() == 0:
            raise ValueError(f"argument {name!r} is empty (shape {tuple(value.shape)}): there are no data to evaluate")


def per_datum_tensors(arguments: Arguments, num_data: int) -> tuple[int | str, ...]:
    """Every tensor whose leading dimension is the number of data."""
    return tuple(k for k, v in arguments.items() if isinstance(v, Tensor) and v.dim() > 0 and len(v) == num_data)


def check_per_datum(chosen: Sequence[int | str], arguments: Arguments, num_data: int) -> tuple[int | str, ...]:
    """The chosen arguments, if each of them has a row for each datum; otherwise ValueError."""
    for key in chosen:
        value = arguments.get(key)
        if not isinstance(value, Tensor) or value.dim() == 0 or len(value) != num_data:
            raise ValueError(
                f"per_datum names argument {key!r}, which is not a tensor with {num_data} rows (it is "
                f"{tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__})"
            )
    return tuple(chosen)


def picked_rows(index: Sequence[int] | Tensor | np.ndarray, num_data: int) -> Tensor:
    """An index of data, numbers (negative ones from the end) or marks, as rows `[R]` in 0 … num_data − 1.

    Raises:
        IndexError: if it is empty, out of range, or of another shape.
    """
    picked = index.cpu().numpy() if isinstance(index, Tensor) else np.asarray(index)
    if picked.dtype == bool and picked.shape != (num_data,):
        raise IndexError(f"a boolean index must have {num_data} entries, one a datum, got shape {picked.shape}")
    rows = torch.as_tensor(picked.nonzero()[0] if picked.dtype == bool else picked, dtype=torch.long)
    if rows.dim() != 1 or len(rows) == 0 or int(rows.min()) < -num_data or int(rows.max()) >= num_data:
        raise IndexError(f"index must be a non-empty list of data in 0 … {num_data - 1}, got {index!r}")
    return rows % num_data
