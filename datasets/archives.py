"""Readers of NumPy's .npy and .npz and of MATLAB's .mat; none of them can be made to run code."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from elbowroom.datasets.arrays import Arrays
from elbowroom.datasets.bags import is_sparse, read_sparse
from elbowroom.datasets.keys import arrays_by_key, find_keys
from elbowroom.datasets.stored import explained, stored

_PICKLE = b"\x80"
_MAGIC = {".npy": (b"\x93NUMPY",), ".npz": (b"PK\x03\x04", b"PK\x05\x06")}


def read_npy(path: Path) -> Arrays:
    """One array `[N, …]`, a datum a row."""
    with _opened(path, ".npy"):
        return Arrays({"train": stored(path)})


def read_npz(path: Path) -> Arrays:
    """Arrays named as in `keys.find_keys`, others are not read; or one sparse array of SciPy's."""
    with _opened(path, ".npz") as stream:
        with explained(path, ".npz"):
            names = np.load(stream, allow_pickle=False).files
        if is_sparse(names):
            with explained(path, ".npz"):
                stream.seek(0)
                return Arrays({"train": read_sparse(stream)})
    keys = find_keys(names, str(path))
    found = {key: stored(path, key) for key in keys.used()}
    whole = set(keys.data.values())
    return arrays_by_key(keys, {key: array if key in whole else array.read() for key, array in found.items()})


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
