"""An .npy file of very many data, of which only the rows that are asked for are ever in memory."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets.arrays import check_grey
from elbowroom.datasets.binarize import check_mode
from elbowroom.datasets.stored import explained, stored
from elbowroom.entrances import checked

_PIECE = 4096  # rows that are looked at at a time


@dataclass(frozen=True)
class Mapped:
    """Rows of an .npy file as the programs see them: float32, grey values in [0, 1], zeros and ones if asked for.

    It has a length and slices, and is sent to other processes by its path.

    Attributes:
        path: the file.
        num_rows: how many data it holds.
        width: values of each.
        scale: what they are divided by.
        threshold: above which they become 1; None keeps them grey.
    """

    path: Path
    num_rows: int
    width: int
    scale: float
    threshold: float | None

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        """Some of the rows, `[R, P]`.

        Raises:
            ValueError: on values that are not finite, or outside of [0, 1] where they are to become zeros and ones.
        """
        x = np.array(_map(self.path)[rows]).reshape(-1, self.width).astype(np.float32)
        x = x if self.scale == 1 else np.divide(x, np.float32(self.scale), out=x)
        where = f"{self.path}: rows {rows.start} … {rows.stop}"
        if not np.isfinite(x).all():
            raise ValueError(f"{where}: values that are NaN or infinite")
        if self.threshold is None:
            return x
        check_grey(x, where)
        return (x > np.float32(self.threshold)).astype(np.float32)


@checked
def mapped(
    path: str | os.PathLike[str], *, binarize: Literal["none", "threshold"] = "none", threshold: float = 0.5
) -> Mapped:
    """The data of an .npy file, a datum a row, read when they are asked for.

    As `load`: uint8 is divided by 255, unless it holds only 0 and 1 (which is found out by reading up to the first
    other value); other values are kept as they are.

    Args:
        path: the file.
        binarize: whether grey values become zeros and ones by a threshold.
        threshold: values above it become 1.

    Raises:
        ValueError: if it is no .npy of numbers with a row for each datum, or is damaged; pickles are refused.
    """
    check_mode(binarize, threshold)
    path = Path(path)
    found = stored(path)
    if found.ndim < 1 or found.dtype.kind not in "biuf" or not len(found):
        got = f"{found.dtype} of shape {found.shape}"
        raise ValueError(f"{path}: expected numbers with a row for each datum, got {got}")
    scale = 255.0 if found.dtype == np.uint8 and any(piece.max() > 1 for piece in _pieces(path)) else 1.0
    width = int(np.prod(found.shape[1:], dtype=np.int64))
    return Mapped(path, len(found), width, scale, threshold if binarize == "threshold" else None)


def _pieces(path: Path) -> Iterator[NDArray[Any]]:
    array = _map(path)
    for start in range(0, len(array), _PIECE):
        yield array[start : start + _PIECE]


def _map(path: Path) -> NDArray[Any]:
    """Mapped anew each time: a map that stays open counts all that was ever read as memory in use."""
    with explained(path, ".npy"):
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
