"""A few data of each split, for files that hold more than is wanted or than fits."""

import os
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets.arrays import Arrays
from elbowroom.datasets.splits import Plan
from elbowroom.datasets.stored import Stored

_COPIES = 2  # of the values as 32-bit numbers: all rows, and the splits that are taken from them
_FLOAT = 4


def few_of(arrays: Arrays, plan: Plan, limit: int) -> tuple[Arrays, Plan]:
    """The arrays of the rows that the first `limit` data of each split are taken from, and the plan for these.

    How values are scaled is told from all of an array, as without a limit.

    Raises:
        ValueError: if the limit is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit: got {limit}, expected at least 1")
    first = {split: (array, taken[:limit]) for split, (array, taken) in plan.items()}
    kept = {a: np.unique(np.concatenate([taken for name, taken in first.values() if name == a])) for a in arrays.data}
    read = {split: _rows(array, kept[split]) for split, array in arrays.data.items()}
    scale = arrays.scale
    if scale is None and all(rows.dtype == np.uint8 for rows, _ in read.values()):
        scale = 255.0 if any(largest > 1 for _, largest in read.values()) else 1.0
    few = replace(
        arrays,
        data={split: rows for split, (rows, _) in read.items()},
        labels={split: labels[kept[split]] for split, labels in arrays.labels.items()},
        masks={split: mask[kept[split]] if split in kept else mask for split, mask in arrays.masks.items()},
        scale=scale,
    )
    return few, {split: (array, np.searchsorted(kept[array], taken)) for split, (array, taken) in first.items()}


def check_memory(arrays: Arrays, source: str) -> None:
    """Raise ValueError for data that are more than the machine has memory for, which would end the process."""
    size = sum(array.size * (array.dtype.itemsize + _FLOAT * _COPIES) for array in arrays.data.values())
    if (there := _memory()) is not None and size > there:
        shapes = ", ".join(f"{split} {list(array.shape)}" for split, array in arrays.data.items())
        raise ValueError(
            f"{source}: {shapes} takes {size / 1e9:.1f} GB (as stored, as 32-bit numbers, and in splits), and the "
            f"machine has {there / 1e9:.1f} GB: read some with limit=… (--data.limit), the first so many of each split"
        )


def _rows(array: NDArray[Any] | Stored, which: NDArray[np.int64]) -> tuple[NDArray[Any], Any]:
    """These rows, and the largest value of all."""
    return array.rows(which) if isinstance(array, Stored) else (array[which], array.max())


def _memory() -> int | None:
    """Bytes of memory, where the system says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
