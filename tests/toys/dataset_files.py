"""Writers of the file formats under test, and where real data lie."""

import gzip
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

IDX_CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx_bytes(array: NDArray[Any], shape: tuple[int, ...] | None = None) -> bytes:
    """The array as IDX; `shape` is what the header says instead of the truth."""
    sizes = array.shape if shape is None else shape
    head = bytes([0, 0, IDX_CODES[array.dtype.name], len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_mnist(folder: Path, num_train: int = 12, num_test: int = 3, *, zipped: bool = True, seed: int = 0) -> None:
    """A small set in the four files of MNIST, with a grey 255 and a grey 128 somewhere."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, count in (("train", num_train), ("t10k", num_test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        images[0, 0, :2] = 255, 128
        labels = rng.integers(0, 10, count, dtype=np.uint8)
        for name, array in ((f"{prefix}-images-idx3-ubyte", images), (f"{prefix}-labels-idx1-ubyte", labels)):
            content = idx_bytes(array)
            path = folder / (name + ".gz" if zipped else name)
            path.write_bytes(gzip.compress(content) if zipped else content)


def real_data(file: str) -> Path:
    """The folder of real data that has this file, or skip the test and say why."""
    named = os.environ.get("ELBOWROOM_DATA")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {'ELBOWROOM_DATA names no folder' if named else 'ELBOWROOM_DATA is not set'}")
    if not (folder / file).is_file():
        pytest.skip(f"{file} is not in the data folder")
    return folder
