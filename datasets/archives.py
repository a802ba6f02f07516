"""Readers of NumPy's .npy and .npz and of MATLAB's .mat; none of them can be made to run code."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets.arrays import Arrays
from elbowroom.datasets.bags import is_sparse, read_sparse
from elbowroom.datasets.keys import arrays_by_key, find_keys

_PICKLE = b"\x80"
_MAGIC = {".npy": (b"\x93NUMPY",), ".npz": (b"PK\x03\x04", b"PK\x05\x06")}


def read_npy(path: Path) -> Arrays:
    """One array `[N, …]`, a datum a row."""
    with _opened(path, ".npy") as stream, _explained(path, ".npy"):
        return Arrays({"train": np.load(stream, allow_pickle=False)})


def read_npz(path: Path) -> Arrays:
    """Arrays named as in `keys.find_keys`, others are not read; or one sparse array of SciPy's."""
    with _opened(path, ".npz") as stream:
        with _explained(path, ".npz"):
            archive = np.load(stream, allow_pickle=False)
        if is_sparse(archive.files):
            with _explained(path, ".npz"):
                stream.seek(0)
                return Arrays({"train": read_sparse(stream)})
        keys = find_keys(archive.files, str(path))
        read = {key: _member(archive, key, path) for key in {key for part in keys for key in part.values()}}
    return arrays_by_key(keys, read)


def read_mat(path: Path) -> Arrays:
    """Variables named as in `keys.find_keys`, a datum a row."""
    variables = read_mat_variables(path)
    return arrays_by_key(find_keys(variables, str(path)), variables)


def read_mat_variables(path: Path) -> dict[str, Any]:
    """All variables of a MATLAB file up to version 7."""
    from scipy.io import loadmat  # here: scipy.io is slow to import and few need it

    with path.open("rb") as stream:
        try:
            variables = loadmat(stream)
        except NotImplementedError:
            raise ValueError(f"{path}: a MATLAB 7.3 (HDF5) file; save it in MATLAB with the option '-v7'") from None
        except Exception as error:  # a damaged file makes scipy raise anything from KeyError to MatReadError
            raise ValueError(f"{path}: cannot be read as a MATLAB file: {error}") from error
    return {key: value for key, value in variables.items() if not key.startswith("__")}


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[BufferedReader]:
    """The file, found to be of its kind by its first bytes. (Given a path, np.load leaves damaged files open.)"""
    with path.open("rb") as stream:
        start = stream.read(8)
        if start.startswith(_PICKLE):
            raise ValueError(f"{path}: a pickle named {kind}. Pickles are refused: reading one can run any code")
        if not start.startswith(_MAGIC[kind]):
            raise ValueError(f"{path}: not a {kind} file: it starts with {start.hex(' ') or 'nothing'}")
        stream.seek(0)
        yield stream


def _member(archive: Any, key: str, path: Path) -> NDArray[Any]:
    with _explained(path, f"the array {key!r} of the .npz"):
        return archive[key]


@contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    """NumPy's errors in words that name the file and the next step."""
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "Object arrays" in str(error):
            raise ValueError(
                f"{path}: {what} holds pickled Python objects. Pickles are refused: reading one can run any code. "
                "Save plain numbers (array.astype(float), one array for each split)"
            ) from None
        raise ValueError(
            f"{path}: cannot read {what}: {error}. The file is damaged or truncated, copy it again"
        ) from error
