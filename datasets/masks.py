"""Sequences of different lengths in one array: the masks that say which steps are there, checked and applied."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Split = Mapping[str, NDArray[Any]]
"""split -> its array."""


def check_masks(data: Split, masks: Split, source: str) -> dict[str, NDArray[np.bool_]]:
    """The masks as booleans `[N, T]`, one for each split that has data, or none at all.

    Raises:
        ValueError: if a split has none and others have, a mask is not `[N, T]` like the data `[N, T, …]`, holds
            anything but zeros and ones, or leaves a sequence without a step.
    """
    if not masks:
        return {}
    if missing := [split for split in data if split not in masks]:
        raise ValueError(f"{source}: a mask of the {', '.join(masks)} array, and none of the {', '.join(missing)} one")
    return {split: _checked(array, masks[split], f"{source}: the {split} mask") for split, array in data.items()}


def without_padding(array: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """The array `[N, T, …]` with zeros where there is no step, whatever was there."""
    return np.where(mask.reshape(mask.shape + (1,) * (array.ndim - 2)), array, np.zeros((), array.dtype))


def _checked(array: NDArray[Any], mask: NDArray[Any], where: str) -> NDArray[np.bool_]:
    shape = np.shape(mask)
    if array.ndim < 2 or shape != array.shape[:2]:
        raise ValueError(
            f"{where} has shape {list(shape)}, expected {list(array.shape[:2])}: data [N, T, P] have a mask [N, T]"
        )
    if mask.dtype.kind not in "biuf" or not ((mask == 0) | (mask == 1)).all():
        raise ValueError(f"{where} holds other values than zeros and ones (or false and true)")
    there = mask.astype(bool)
    if empty := np.flatnonzero(~there.any(1)).tolist():
        raise ValueError(f"{where} leaves {len(empty)} sequences without a step (first rows: {empty[:5]}): drop these")
    return there
