"""One's own arrays: every way of storing them, and every way of getting it wrong."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import savemat

from elbowroom.datasets import SPLITS, load
from toys.dataset_files import idx_bytes

REAL = np.random.default_rng(1).normal(size=(20, 6))
GREY = np.random.default_rng(2).integers(0, 256, (20, 4, 3), dtype=np.uint8)


def saved(path: Path, **arrays: Any) -> Path:
    """The arrays in a file of that name; pickles are written if that is what they need."""
    np.savez(path, **arrays)
    return path


def rows(data: Any) -> NDArray[Any]:
    """All data of a data set, sorted so that the order of a permutation does not matter."""
    joined = torch.cat([data.split(split) for split in SPLITS]).numpy()
    return joined[np.lexsort(joined.T)]


def test_every_format_gives_the_same_data(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY)
    savemat(tmp_path / "c.mat", {"X": GREY})
    (tmp_path / "d-idx3-ubyte").write_bytes(idx_bytes(GREY))
    saved(tmp_path / "b.npz", x=GREY)
    made = [load(path, data_dir=None) for path in sorted(tmp_path.iterdir())]
    assert [data.name for data in made] == ["a.npy", "b.npz", "c.mat", "d-idx3-ubyte"]
    for data in made:
        assert all(torch.equal(data.split(split), made[0].split(split)) for split in SPLITS)
        assert data.image_shape == (4, 3) and data.scale == 255
        assert [len(data.split(split)) for split in SPLITS] == [16, 2, 2]
    expected = (GREY.reshape(20, 12) / 255).astype(np.float32)
    np.testing.assert_array_equal(rows(made[0]), expected[np.lexsort(expected.T)])


def test_real_values_are_kept_as_they_are(tmp_path: Path) -> None:
    data = load(saved(tmp_path / "x.npz", x=REAL))
    expected = REAL.astype(np.float32)
    np.testing.assert_array_equal(rows(data), expected[np.lexsort(expected.T)])
    assert data.scale == 1 and data.image_shape is None
    for dtype in (np.int64, np.float16, np.dtype(">f8"), np.dtype(">i2")):
        kept = load(saved(tmp_path / "x.npz", x=(10 * REAL).astype(dtype)))
        stored = (10 * REAL).astype(dtype).astype(np.float32)
        np.testing.assert_array_equal(rows(kept), stored[np.lexsort(stored.T)])


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float64])
def test_zeros_and_ones_stay_zeros_and_ones(tmp_path: Path, dtype: Any) -> None:
    """A binary uint8 array is not grey: dividing it by 255 would make it all but black."""
    bits = (REAL > 0).astype(dtype)
    for mode in ("none", "threshold", "static"):
        data = load(saved(tmp_path / "x.npz", x=bits), binarize=mode)
        assert set(torch.cat([data.train, data.test]).unique().tolist()) == {0.0, 1.0} and data.scale == 1
        assert data.train.sum() + data.validation.sum() + data.test.sum() == bits.sum()


def test_named_arrays_are_the_splits(tmp_path: Path) -> None:
    parts = {"train": REAL[:12], "validation": REAL[12:15], "test": REAL[15:]}
    for names in (("train", "validation", "test"), ("x_train", "x_val", "x_test"), ("X", "VALID", "Test_Images")):
        path = saved(tmp_path / "x.npz", **dict(zip(names, parts.values(), strict=True)), other=np.zeros(3))
        data = load(path)
        for split, expected in parts.items():
            np.testing.assert_array_equal(data.split(split).numpy(), expected.astype(np.float32))
    data = load(saved(tmp_path / "x.npz", train=REAL, test=REAL[:5]))
    assert [len(data.split(split)) for split in SPLITS] == [18, 2, 5]
    np.testing.assert_array_equal(data.test.numpy(), REAL[:5].astype(np.float32))


def test_labels_follow_their_data(tmp_path: Path) -> None:
    """The label of a datum is its first value here; columns of MATLAB doubles are labels too, other things are not."""
    x = np.arange(20.0)[:, None] * [1.0, 2.0]
    savemat(tmp_path / "x.mat", {"x": x, "y": np.arange(20.0)[:, None]})
    for path in (saved(tmp_path / "x.npz", x=x, y=np.arange(20)), tmp_path / "x.mat"):
        data = load(path)
        assert all(torch.equal(data.labels[split].float(), data.split(split)[:, 0]) for split in SPLITS)
    for not_labels in (np.eye(20, dtype=int), REAL[:, 0], np.array(["a"] * 20)):
        assert load(saved(tmp_path / "x.npz", x=x, y=not_labels)).labels == {}
    with pytest.raises(ValueError, match="19 labels for 20 data of the train array"):
        load(saved(tmp_path / "x.npz", x=x, y=np.arange(19)))


def test_shapes(tmp_path: Path) -> None:
    """Images may have one channel, first or last, or several."""
    for shape, image, features in (
        ((24, 1), None, 1),
        ((6, 1, 2, 2), (2, 2), 4),
        ((6, 2, 2, 1), (2, 2), 4),
        ((4, 3, 2, 1, 1), (3, 2, 1, 1), 6),
        ((4, 3, 2), (3, 2), 6),
        ((3, 2, 2, 2), (2, 2, 2), 8),
    ):
        data = load(saved(tmp_path / "x.npz", x=np.arange(24.0).reshape(shape)))
        assert (data.image_shape, data.train.shape[1]) == (image, features)
    fortran = load(saved(tmp_path / "x.npz", x=np.asfortranarray(GREY)))
    assert torch.equal(fortran.train, load(saved(tmp_path / "y.npz", x=GREY)).train)


def test_where_a_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In data_dir, then as the path says, then in the environment's folder."""
    for number, folder in enumerate(("argument", "here", "env")):
        (tmp_path / folder).mkdir()
        saved(tmp_path / folder / "x.npz", x=np.full((5, 1), float(number)))
        saved(tmp_path / folder / f"{folder}.npz", x=np.full((5, 1), float(number)))
    monkeypatch.setenv("ELBOWROOM_DATA", str(tmp_path / "env"))
    monkeypatch.chdir(tmp_path / "here")
    assert load("x.npz", data_dir=tmp_path / "argument").train[0] == 0
    assert load("here.npz", data_dir=tmp_path / "argument").train[0] == 1
    assert load("x.npz").train[0] == 1
    assert load("env.npz").train[0] == 2
    assert load(tmp_path / "argument" / "x.npz").train[0] == 0
    with pytest.raises(FileNotFoundError, match=r"no such file: nope.npz or .*env/nope.npz.*Nothing is downloaded"):
        load("nope.npz")
    monkeypatch.setenv("ELBOWROOM_DATA", str(tmp_path / "gone"))
    assert load(tmp_path / "argument" / "x.npz").train[0] == 0
    with pytest.raises(ValueError, match=r"unknown data set 'x'\. .*or a file that ends in \.npy, \.npz, \.mat"):
        load("x", data_dir=tmp_path)


BAD_VALUES = REAL.copy()
BAD_VALUES[[3, 7], [0, 5]] = np.nan, -np.inf


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": BAD_VALUES}, "rows 3, 7 of the train array have values that are NaN, infinite or beyond float32"),
        ({"x": REAL, "test": BAD_VALUES[6:8]}, "row 1 of the test array has values"),
        ({"x": np.full((9, 2), 1e300)}, r"rows 0, 1, 2, 3, 4, … \(9 in all\)"),
        ({"x": np.zeros((0, 5))}, r"the train array is empty: its shape is \[0, 5\]"),
        ({"x": np.zeros((5, 0))}, r"the train array is empty: its shape is \[5, 0\]"),
        ({"x": REAL, "validation": REAL[:0]}, "the validation array is empty"),
        ({"x": np.array(["a", "b", "c"])}, "the train array has dtype <U1, expected bool, integers or floats"),
        ({"x": REAL + 1j}, "dtype complex128"),
        ({"x": np.zeros(5, dtype=[("a", "f8")])}, "expected bool, integers or floats"),
        ({"x": np.zeros(5, dtype="M8[s]")}, "dtype datetime64"),
        ({"x": np.float64(3)}, r"single number \(0 dimensions\)"),
        ({"x": REAL[0]}, r"a vector of shape \[6\].* a single datum of 6 values save x\[None\], .* x\[:, None\]"),
        ({"x": REAL[:2]}, "2 data cannot be split .* at least 3 are needed"),
        ({"x": REAL[:1]}, "1 datum cannot be split"),
        ({"x": REAL, "test": REAL[:, :3]}, r"the shape of a datum differs .*'train': \(6,\), 'test': \(3,\)"),
        ({"x": GREY, "test": GREY / 255.0}, "one split holds floats, another uint8"),
        ({"a": REAL, "b": REAL}, "no array to train on. Its keys are 'a', 'b'; expected one of train, x_train"),
        ({"test": REAL}, "no array to train on. Its keys are 'test'"),
        ({}, "no array to train on. Its keys are none"),
        ({"x": REAL, "X_train": REAL}, "the keys 'x', 'X_train' all name the train array"),
        ({"x": np.array([{}, {}, {}])}, "holds pickled Python objects. Pickles are refused"),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        load(saved(tmp_path / "bad.npz", **arrays))
    assert "bad.npz" in str(error.value)


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    """In each place where one may hide; those under keys that are not asked for are not even opened."""
    target = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (target,)

    for name in ("x.npy", "x.npz"):
        (tmp_path / name).write_bytes(pickle.dumps(Trap()))
        with pytest.raises(ValueError, match=rf"a pickle named \{name[1:]}\. Pickles are refused"):
            load(tmp_path / name)
    np.save(tmp_path / "x.npy", np.array([Trap()]))
    with pytest.raises(ValueError, match="holds pickled Python objects"):
        load(tmp_path / "x.npy")
    for arrays in ({"x": np.array([Trap()])}, {"x": REAL, "y": np.array([Trap()])}):
        with pytest.raises(ValueError, match=r"the array '[xy]' of the .npz holds pickled Python objects"):
            load(saved(tmp_path / "x.npz", **arrays))
    assert len(load(saved(tmp_path / "x.npz", x=REAL, note=np.array([Trap()]))).train) == 16
    assert not target.exists()


@pytest.mark.parametrize("mode", ["threshold", "static", "dynamic"])
def test_only_grey_values_are_binarized(tmp_path: Path, mode: Any) -> None:
    values = np.full((10, 2), 0.5)
    values[4, 1], values[6, 0] = 1.5, -0.25
    path = saved(tmp_path / "x.npz", x=values)
    assert load(path).train.max() == 1.5
    told = r"train array: grey values lie in \[0, 1\], but these go from -0.25 to 1.5 \(rows 4, 6\).*binarize='none'"
    with pytest.raises(ValueError, match=told):
        load(path, binarize=mode)


def test_a_threshold_that_makes_all_data_alike_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.npz", x=np.linspace(0.1, 0.4, 10)[:, None])
    with pytest.raises(ValueError, match=r"threshold=0.5 makes every training value 0; the values lie between 0.1 and"):
        load(path, binarize="threshold")
    with pytest.raises(ValueError, match="makes every training value 1"):
        load(path, binarize="threshold", threshold=0.05)
    assert load(path, binarize="threshold", threshold=0.25).train.unique().tolist() == [0, 1]


def test_damaged_files(tmp_path: Path) -> None:
    """Cut off, empty, or of another kind than the name says."""
    np.save(tmp_path / "x.npy", REAL)
    saved(tmp_path / "x.npz", x=REAL)
    savemat(tmp_path / "x.mat", {"x": REAL})
    for name in ("x.npy", "x.npz", "x.mat"):
        content = (tmp_path / name).read_bytes()
        for length in (0, 5, 100, len(content) // 2, len(content) - 1):
            (tmp_path / f"cut-{name}").write_bytes(content[:length])
            with pytest.raises(ValueError, match=f"cut-{name}: "):
                load(tmp_path / f"cut-{name}")
    (tmp_path / "y.npz").write_bytes((tmp_path / "x.npy").read_bytes())
    with pytest.raises(ValueError, match=r"not a \.npz file: it starts with 93 4e 55"):
        load(tmp_path / "y.npz")
    (tmp_path / "y.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\0" * 384)
    with pytest.raises(ValueError, match=r"MATLAB 7.3 \(HDF5\) file; save it in MATLAB with the option '-v7'"):
        load(tmp_path / "y.mat")


def test_mat_files_with_other_things(tmp_path: Path) -> None:
    """Cells, text and sparse matrices are not data."""
    from scipy.sparse import csc_matrix

    cell = np.empty(3, dtype=object)
    cell[:] = [1.0, "a", np.zeros(2)]
    for value, told in ((cell, "dtype object"), ("text", "dtype <U4"), (csc_matrix(np.eye(3)), "expected a dense")):
        savemat(tmp_path / "x.mat", {"x": value})
        with pytest.raises(ValueError, match=told):
            load(tmp_path / "x.mat")
