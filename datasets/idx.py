"""The IDX format of MNIST, plain or gzipped: a magic number, the sizes, the values."""

import gzip
import math
import zlib
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_PIECE = 1 << 20

Stream = gzip.GzipFile | BufferedReader


def read_idx(path: Path) -> NDArray[Any]:
    """The array in an IDX file; gzip is told by the content, not by the name.

    Format (http://yann.lecun.com/exdb/mnist, "the IDX file format"): two zero bytes, a byte for the type, a byte D for
    the number of dimensions, D sizes as big-endian 32-bit integers, the values in C order, big-endian.

    Raises:
        ValueError: if it is not an IDX file, its header promises more or fewer bytes than there are, or the gzip
            stream is damaged.
    """
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:
            return _parse(stream, path)
    except EOFError:
        raise ValueError(f"{path}: the gzip stream ends early: the file is truncated, copy it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: the gzip stream is damaged ({error}): copy the file again") from None


def _parse(stream: Stream, path: Path) -> NDArray[Any]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES:
        raise ValueError(
            f"{path}: not an IDX file: it starts with {magic.hex(' ') or 'nothing'}, expected 00 00, a type "
            f"({', '.join(f'{code:02x}' for code in _DTYPES)}) and a number of dimensions"
        )
    dtype, ndim = np.dtype(_DTYPES[magic[2]]), magic[3]
    header = stream.read(4 * ndim)
    if len(header) < 4 * ndim:
        raise ValueError(f"{path}: the IDX header of {ndim} sizes is cut short: the file is truncated, copy it again")
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    promised = math.prod(shape) * dtype.itemsize
    values = _read(stream, promised)
    extra = stream.read(1)
    if len(values) < promised or extra:
        found = "more" if extra else f"{len(values)}"
        raise ValueError(
            f"{path}: the IDX header promises {'×'.join(map(str, shape))} values of {dtype.name} ({promised} bytes), "
            f"but the file has {found}: it is {'not what its header says' if extra else 'truncated'}, copy it again"
        )
    return np.frombuffer(values, dtype).reshape(shape)


def _read(stream: Stream, count: int) -> bytes:
    """Up to `count` bytes, piece by piece: a header that lies does not decide how much memory is taken."""
    pieces, left = [], count
    while left and (piece := stream.read(min(left, _PIECE))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
