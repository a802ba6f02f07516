"""Arrays in .npy and .npz files: of many rows those that are asked for are read, and the others passed over.

dSprites, 737 280 images of 64 × 64 bytes, takes 26 MB packed, 3 GB unpacked and 12 GB as 32-bit numbers; a thousand of
them take 16 MB, and reading these a few megabytes more.
"""

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_PIECE = 1 << 22  # bytes that are unpacked at a time


@dataclass(frozen=True)
class Stored:
    """An array in a file, whose values are read when they are asked for.

    Attributes:
        path: the file.
        key: of an .npz its array; None for an .npy.
        shape, dtype: of the array.
        in_columns: whether it is stored column by column (Fortran's order), so that a row is not in one place.
    """

    path: Path
    key: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    in_columns: bool

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many values it has."""
        return int(np.prod(self.shape, dtype=np.int64))

    def read(self) -> NDArray[Any]:
        """All of it."""
        with explained(self.path, self.says), _member(self.path, self.key) as stream:
            array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
            return array

    def rows(self, which: NDArray[np.int64]) -> tuple[NDArray[Any], Any]:
        """These rows, which ascend, and the largest value of all rows; of an array stored by columns all are read."""
        if self.in_columns:
            array = self.read()
            return array[which], array.max()
        taken, largest = np.empty((len(which), *self.shape[1:]), self.dtype), None
        with explained(self.path, self.says), _member(self.path, self.key) as stream:
            _header(stream)
            for start, piece in self._pieces(stream):
                first, last = np.searchsorted(which, (start, start + len(piece)))
                taken[first:last] = piece[which[first:last] - start]
                largest = piece.max() if largest is None else max(largest, piece.max())
        return taken, largest

    @property
    def says(self) -> str:
        """What it is, for errors."""
        return ".npy" if self.key is None else f"the array {self.key!r} of the .npz"

    def _pieces(self, stream: IO[bytes]) -> Iterator[tuple[int, NDArray[Any]]]:
        """Consecutive rows, with the number of the first."""
        width = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        many = max(1, _PIECE // max(1, width))
        for start in range(0, len(self), many):
            count = min(many, len(self) - start)
            if len(data := stream.read(count * width)) < count * width:
                raise ValueError(f"it ends within row {start + len(data) // width} of {len(self)}")
            yield start, np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])


def stored(path: Path, key: str | None = None) -> Stored:
    """The array of an .npy, or that of an .npz by its key.

    Raises:
        ValueError: if it is damaged, or holds pickled objects.
    """
    found = Stored(path, key, (), np.dtype(float), in_columns=False)
    with explained(path, found.says), _member(path, key) as stream:
        shape, in_columns, dtype = _header(stream)
        if dtype.hasobject:
            raise ValueError("Object arrays cannot be loaded")
        _check_size(stream, path, key, shape, dtype)
        return Stored(path, key, shape, dtype, in_columns and len(shape) > 1)


@contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """NumPy's errors in words that name the file and the next step."""
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"{path}: {what} needs more memory than there is: {error}") from error
    except (ValueError, EOFError, KeyError, OverflowError, zipfile.BadZipFile, zlib.error) as error:
        if "Object arrays" in str(error):
            raise ValueError(
                f"{path}: {what} holds pickled Python objects. Pickles are refused: reading one can run any code. "
                "Save plain numbers (array.astype(float), one array for each split)"
            ) from None
        raise ValueError(
            f"{path}: cannot read {what}: {error}. The file is damaged or truncated, copy it again"
        ) from error


@contextmanager
def _member(path: Path, key: str | None) -> Iterator[IO[bytes]]:
    """The bytes of an .npy, or of one in an .npz."""
    if key is None:
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
        yield member


def _check_size(stream: IO[bytes], path: Path, key: str | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse an array of more bytes than follow its header: nothing is made for what is not there."""
    if key is None:
        size = path.stat().st_size
    else:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(f"{key}.npy").file_size
    width, there = math.prod(shape[1:]) * dtype.itemsize, size - stream.tell()
    if shape and shape[0] * width > there:
        raise ValueError(f"it ends within row {there // width} of {shape[0]}")


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it is stored by columns, and dtype; the values come next."""
    version = npy.read_magic(stream)
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)
    if version == (2, 0):
        return npy.read_array_header_2_0(stream)
    raise ValueError(f"it is written in version {'.'.join(map(str, version))} of the format, expected 1.0 or 2.0")
