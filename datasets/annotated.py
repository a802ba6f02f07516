"""The matrix X of an AnnData file (.h5ad): cells × genes, dense or sparse, read by h5py alone.

What is stored where: https://anndata.readthedocs.io/en/stable/fileformat-prose.html; files of versions before 0.7 name
the format `h5sparse_format` and the shape `h5sparse_shape`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets.arrays import Arrays
from elbowroom.datasets.bags import dense

_FORMATS = {"csr_matrix": "csr", "csc_matrix": "csc", "csr": "csr", "csc": "csc"}


def read_h5ad(path: Path) -> Arrays:
    """X `[N, P]`, made dense, and the names of its columns.

    Raises:
        ValueError: if it is no HDF5 file, has no X, or X is stored in another way.
    """
    import h5py  # here: slow to import, and few need it

    try:
        with h5py.File(path, "r") as file:
            if "X" not in file:
                raise ValueError(f"no matrix X; it has {', '.join(file) or 'nothing'}")
            return Arrays({"train": _matrix(file["X"])}, vocabulary=_names(file.get("var")))
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as an .h5ad file: {error}") from error


def _matrix(stored: Any) -> NDArray[Any]:
    if not hasattr(stored, "keys"):  # a group has parts
        array: NDArray[Any] = stored[()]
        return array
    attributes = stored.attrs
    kind = _text(attributes.get("encoding-type", attributes.get("h5sparse_format", "")))
    if kind not in _FORMATS:
        raise ValueError(f"X is stored as {kind or 'a group without a format'}, expected an array, CSR or CSC")
    shape = tuple(int(n) for n in attributes["shape" if "shape" in attributes else "h5sparse_shape"])
    parts = tuple(stored[name][()] for name in ("data", "indices", "indptr"))
    return dense(_FORMATS[kind], parts, shape)


def _names(var: Any) -> tuple[str, ...]:
    """The names of the columns, if they are stored in today's way."""
    if var is None or not hasattr(var, "attrs") or "_index" not in var.attrs:
        return ()
    stored = var.get(_text(var.attrs["_index"]))
    return () if stored is None or not hasattr(stored, "dtype") else tuple(map(_text, np.asarray(stored[()])))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
