"""What a reader hands on, and the checks that they are data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets.masks import check_masks, without_padding
from elbowroom.datasets.stored import Stored


@dataclass(frozen=True)
class Arrays:
    """What the files of a data set hold.

    Attributes:
        data: split -> `[N, …]`, at least `train`; in a file still, where rows of it can be read alone.
        labels: split -> `[N]`, for some of these splits.
        scale: what to divide the values by; None to tell it from the dtype.
        masks: split -> `[N, T]`, true where a sequence has a step, for all splits that have data or for none.
        vocabulary: the word of each column, of bags of words; empty if nothing is known of them.
        notes: what is there and was not read, in words.
    """

    data: Mapping[str, NDArray[Any] | Stored]
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    scale: float | None = None
    masks: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    vocabulary: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """The same as float32 `[N, P]`, all values finite.

    Attributes:
        data: split -> `[N, P]`.
        scale: what the values were divided by.
        image_shape: of one datum, if the arrays had it.
        masks: split -> bool `[N, T]`; where they are false, the values are zero.
    """

    data: Mapping[str, NDArray[np.float32]]
    scale: float
    image_shape: tuple[int, ...] | None
    masks: Mapping[str, NDArray[np.bool_]]


def check_arrays(arrays: Arrays, source: str) -> None:
    """Raise ValueError on arrays that cannot be data, by what is known before their values are read.

    They are empty, have fewer than two dimensions, another dtype than bool, integer or float, or data of other shapes
    than those of other splits.
    """
    for split, array in arrays.data.items():
        _check_array(array, f"{source}: the {split} array")
    shapes = {split: array.shape[1:] for split, array in arrays.data.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"{source}: the shape of a datum differs between the arrays: {shapes}")
    for split, mask in arrays.masks.items():
        if split in arrays.data and np.shape(mask)[:1] != arrays.data[split].shape[:1]:
            raise ValueError(
                f"{source}: the {split} mask has shape {list(np.shape(mask))}, expected a row for each of "
                f"{len(arrays.data[split])} sequences"
            )


def to_rows(arrays: Arrays, source: str) -> Rows:
    """Check the values, scale them, and make a row of each datum.

    Scale: uint8 is divided by 255, unless it holds only 0 and 1; bool, other integers and floats are kept as they are.

    Raises:
        ValueError: on dtypes that differ between splits, on values that are NaN, infinite or beyond float32, and on
            masks that are none of these data.
    """
    read = {split: array.read() if isinstance(array, Stored) else array for split, array in arrays.data.items()}
    masks = check_masks(read, arrays.masks, source)
    data = {split: without_padding(x, masks[split]) if masks else x for split, x in read.items()}
    scale = _scale(data, source) if arrays.scale is None else arrays.scale
    return Rows(
        data={split: _flatten(array, scale, source, split) for split, array in data.items()},
        scale=scale,
        image_shape=_image_shape(data["train"].shape[1:]),
        masks=masks,
    )


def find_labels(arrays: Arrays, source: str) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]:
    """Split -> labels int64 `[N]`, which are whole numbers, one a datum; and what was found instead, in words.

    Raises:
        ValueError: if there are more labels than data, or fewer.
    """
    labels, notes = {}, list(arrays.notes)
    for split, array in arrays.labels.items():
        why = _why_no_labels(array) if split in arrays.data else f"there are no {split} data"
        if why:
            notes.append(f"what stands there as labels of the {split} array was left out: {why}")
            continue
        flat = array.reshape(-1)
        if len(flat) != len(arrays.data[split]):
            raise ValueError(f"{source}: {len(flat)} labels for {len(arrays.data[split])} data of the {split} array")
        labels[split] = flat.astype(np.int64)
    return labels, tuple(notes)


def check_grey(x: NDArray[np.float32], where: str) -> None:
    """Raise ValueError unless all values lie in [0, 1], as grey values do that are to become zeros and ones."""
    outside = ((x < 0) | (x > 1)).any(1)
    if outside.any():
        raise ValueError(
            f"{where}: grey values lie in [0, 1], but these go from {x.min():.6g} to {x.max():.6g} "
            f"({name_rows(np.flatnonzero(outside).tolist())}). Scale them (8-bit values stored as uint8 are divided by "
            "255 for you); values that are not grey values need binarize='none' and, say, a Normal likelihood"
        )


def name_rows(rows: Sequence[int]) -> str:
    """Rows as an error names them: the first few and how many there are."""
    shown = ", ".join(str(row) for row in rows[:5])
    more = f", … ({len(rows)} in all)" if len(rows) > 5 else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}"


def _check_array(array: NDArray[Any] | Stored, where: str) -> None:
    if not isinstance(array, np.ndarray | Stored):
        raise ValueError(f"{where} is a {type(array).__name__}, expected a dense array")
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{where} has dtype {array.dtype}, expected bool, integers or floats: save array.astype(float), if "
            "these are meant"
        )
    if array.ndim == 0:
        raise ValueError(f"{where} is a single number (0 dimensions), expected [N, …]: one row a datum")
    if array.ndim == 1:
        raise ValueError(
            f"{where} is a vector of shape {list(array.shape)}, expected [N, …]: one row a datum. If it is a single "
            f"datum of {len(array)} values save x[None], if it is {len(array)} data of one value each, x[:, None]"
        )
    if array.size == 0:
        raise ValueError(f"{where} is empty: its shape is {list(array.shape)}, expected a datum at least")


def _scale(data: Mapping[str, NDArray[Any]], source: str) -> float:
    kinds = {split: _kind(array) for split, array in data.items()}
    if len(set(kinds.values())) > 1:
        raise ValueError(f"{source}: one split holds {', another '.join(sorted(set(kinds.values())))}: store all alike")
    if kinds["train"] == "uint8" and any(array.max() > 1 for array in data.values()):
        return 255.0
    return 1.0


def _kind(array: NDArray[Any]) -> str:
    return "uint8" if array.dtype == np.uint8 else {"b": "bool", "f": "floats"}.get(array.dtype.kind, "integers")


def _flatten(array: NDArray[Any], scale: float, source: str, split: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # values beyond float32 become inf, which is told below
        x = np.ascontiguousarray(array.reshape(len(array), -1), dtype=np.float32)
    if scale != 1:
        x = np.divide(x, np.float32(scale), out=None if np.may_share_memory(x, array) else x)
    bad = ~np.isfinite(x).all(1)
    if bad.any():
        raise ValueError(
            f"{source}: {name_rows(np.flatnonzero(bad).tolist())} of the {split} array "
            f"{'has' if bad.sum() == 1 else 'have'} values that are NaN, infinite or beyond float32: "
            "remove or repair these data"
        )
    return x


def _image_shape(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    if len(shape) == 3 and 1 in (shape[0], shape[2]):  # one channel, first or last
        shape = shape[1:] if shape[0] == 1 else shape[:2]
    return shape if len(shape) > 1 else None


def _why_no_labels(array: Any) -> str:
    """Why an array is no labels, in words; empty if it is."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        found = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
        return f"{found}, expected whole numbers (numpy.unique(y, return_inverse=True)[1] makes them of names)"
    if array.size != max(array.shape, default=0):
        return f"shape {list(array.shape)}, expected one number a datum: one of its columns, or y.argmax(1) of one-hot"
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (array == np.round(array)).all()):
        return "numbers that are not whole"
    return ""
