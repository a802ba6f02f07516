"""Rows of an .npy as `load` would give them, without the others in memory."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from elbowroom.datasets import load, mapped


def test_rows_are_those_of_load(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, array in {
        "bytes": rng.integers(0, 256, (30, 2, 3)).astype(np.uint8),
        "marks": rng.integers(0, 2, (30, 6)).astype(np.uint8),
        "numbers": rng.random((30, 6)),
        "big-endian": rng.random((30, 6)).astype(">f4"),
    }.items():
        np.save(tmp_path / f"{name}.npy", array)
        for binarize in ("none", "threshold"):
            whole = load(tmp_path / f"{name}.npy", whole=True, binarize=binarize).test.numpy()
            found = mapped(tmp_path / f"{name}.npy", binarize=binarize)
            assert len(found) == 30 and np.array_equal(found[slice(0, 30)], whole)
            assert np.array_equal(pickle.loads(pickle.dumps(found))[slice(7, 9)], whole[7:9])


def test_what_is_no_array_of_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    for array, told in ((np.array(["a"]), "row for each"), (np.array(3.0), "row for each"), (np.zeros((0, 3)), "row")):
        np.save(path, array)
        with pytest.raises(ValueError, match=told):
            mapped(path)
    np.save(path, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="pickle"):
        mapped(path)
    np.save(path, np.array([[0.5], [np.nan], [2.0]]))
    with pytest.raises(ValueError, match=r"rows 1 … 2: values that are NaN"):
        mapped(path)[slice(1, 2)]
    with pytest.raises(ValueError, match="grey values lie in"):
        mapped(path, binarize="threshold")[slice(2, 3)]
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="damaged or truncated"):
        mapped(path)
