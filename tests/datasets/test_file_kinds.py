"""Tables, tensors, annotated matrices and folders of pictures: the same data as from an array, or a way out."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy import sparse
from scipy.io import savemat
from torch.utils.data import TensorDataset

from elbowroom.datasets import SPLITS, Dataset, load

X = np.random.default_rng(1).integers(0, 5, (20, 3))
Y = np.arange(20) % 4
COUNTS = sparse.csr_matrix(X)


def csv_of(path: Path, header: str = "", separator: str = ",", columns: Any = X) -> None:
    lines = [separator.join(map(str, row)) for row in columns.tolist()]
    path.write_text("\n".join([*([header] if header else []), *lines]) + "\n", encoding="utf-8")


def h5ad_of(path: Path, form: str) -> None:
    """As anndata writes it, and as it did before 0.7 (`old`)."""
    with h5py.File(path, "w") as file:
        var = file.create_group("var")
        var.attrs["_index"] = "gene"
        var["gene"] = np.array([b"A", b"B", b"C"])
        if form == "dense":
            file["X"] = X.astype(np.float32)
            return
        matrix = COUNTS.tocsc() if form == "csc" else COUNTS
        group = file.create_group("X")
        names = ("h5sparse_format", "h5sparse_shape") if form == "old" else ("encoding-type", "shape")
        group.attrs[names[0]] = "csr" if form == "old" else f"{form}_matrix"
        group.attrs[names[1]] = X.shape
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(matrix, name)


WITH_CLASSES = np.concatenate([Y[:, None], X], axis=1)
WRITERS: dict[str, Callable[[Path], Any]] = {
    "x.csv": csv_of,
    "header.csv": lambda path: csv_of(path, "a,b,c"),
    "quoted.csv": lambda path: csv_of(path, '"a, b",b,c'),
    "semicolons.csv": lambda path: csv_of(path, "\ufeffa;b;c", ";"),
    "labels.csv": lambda path: csv_of(path, "label,a,b,c", columns=WITH_CLASSES),
    "savetxt.csv": lambda path: np.savetxt(path, X, delimiter=",", header="a,b,c"),
    "x.tsv": lambda path: csv_of(path, "a\tb\tc", "\t"),
    "x.amat": lambda path: np.savetxt(path, X, fmt="%d"),
    "x.pt": lambda path: torch.save(torch.tensor(X), path),
    "pair.pt": lambda path: torch.save((torch.tensor(X), torch.tensor(Y)), path),
    "dict.pth": lambda path: torch.save({"x": torch.tensor(X), "y": torch.tensor(Y), "epoch": 3}, path),
    "bfloat16.pt": lambda path: torch.save(torch.tensor(X).bfloat16(), path),
    "sparse.pt": lambda path: torch.save(torch.tensor(X).to_sparse(), path),
    "x.safetensors": lambda path: save_file({"whatever": torch.tensor(X)}, path),
    "two.safetensors": lambda path: save_file({"images": torch.tensor(X), "labels": torch.tensor(Y)}, path),
    "sparse.npz": lambda path: sparse.save_npz(path, COUNTS),
    "imgs.npz": lambda path: np.savez(path, imgs=X, latents_classes=np.zeros((20, 6), int), metadata=np.array([{}])),
    "dense.h5ad": lambda path: h5ad_of(path, "dense"),
    "csr.h5ad": lambda path: h5ad_of(path, "csr"),
    "csc.h5ad": lambda path: h5ad_of(path, "csc"),
    "old.h5ad": lambda path: h5ad_of(path, "old"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_holds_the_same_data(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    data = load(name, data_dir=tmp_path, whole=True)
    np.testing.assert_array_equal(data.test.numpy(), X.astype(np.float32))
    if name.startswith(("labels", "pair", "dict", "two")):
        np.testing.assert_array_equal(data.labels["test"].numpy(), Y)
    assert data.vocabulary == (("A", "B", "C") if name.endswith("h5ad") else ())


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra 'parquet' is not installed")
    from pyarrow import parquet

    columns = {"label": Y, **{name: X[:, i] for i, name in enumerate("abc")}}
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    data = load(tmp_path / "x.parquet", whole=True)
    np.testing.assert_array_equal(data.test.numpy(), X.astype(np.float32))
    np.testing.assert_array_equal(data.labels["test"].numpy(), Y)
    parquet.write_table(pyarrow.table(columns | {"cell": ["a"] * 20}), tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"'cell' \(.*\) of its 5 columns holds no numbers"):
        load(tmp_path / "x.parquet")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(ImportError, match=r"pip install 'elbowroom\[parquet\]'.*to_csv\('x.csv', index=False\)"):
        load(tmp_path / "x.parquet")


def test_a_file_without_splits_as_it_is(tmp_path: Path) -> None:
    """All of its data, in its order, one of them too; a file's own test data and named sets stay what they are."""
    np.save(tmp_path / "x.npy", X)
    data = load(tmp_path / "x.npy", whole=True)
    assert [len(data.split(split)) for split in SPLITS] == [0, 0, 20] and "no splits" in data.split_rule
    assert data.record()["sizes"] == {"train": 0, "validation": 0, "test": 20}
    np.save(tmp_path / "one.npy", X[:1])
    assert load(tmp_path / "one.npy", whole=True).test.shape == (1, 3)
    np.savez(tmp_path / "x.npz", train=X, test=X[:5])
    for whole in (True, False):
        data = load(tmp_path / "x.npz", whole=whole)
        assert [len(data.split(split)) for split in SPLITS] == [18, 2, 5] and "a tenth" in data.split_rule
    assert len(load("digits", whole=True).test) == 360
    grey = np.linspace(0.1, 0.4, 10)[:, None]
    np.save(tmp_path / "grey.npy", grey)
    with pytest.raises(ValueError, match="makes every training value 0"):
        load(tmp_path / "grey.npy", whole=True, binarize="threshold")
    assert load(tmp_path / "grey.npy", whole=True, binarize="threshold", threshold=0.25).test.sum() == 5


def same(one: Dataset, other: Dataset) -> bool:
    return all(torch.equal(one.split(split), other.split(split)) for split in SPLITS) and one.name == other.name


def test_files_of_named_sets_by_path(tmp_path: Path) -> None:
    """Columns are images there: by path they are what they are by name."""
    random = np.random.default_rng(0)
    data, test = random.random((784, 30)), random.random((784, 30))
    savemat(tmp_path / "chardata.mat", {"data": data, "testdata": test})
    savemat(tmp_path / "frey_rawface.mat", {"ff": random.integers(0, 256, (560, 20), dtype=np.uint8)})
    assert same(load(tmp_path / "chardata.mat"), load("omniglot", data_dir=tmp_path))
    assert same(load(tmp_path / "frey_rawface.mat"), load("freyfaces", data_dir=tmp_path))
    savemat(tmp_path / "chardata.mat", {"data": data})
    with pytest.raises(ValueError, match=r"expected the variable 'testdata' of shape \[784, N\]"):
        load(tmp_path / "chardata.mat")


def test_matrices_of_text(tmp_path: Path) -> None:
    """784 columns are an image, 785 an image and its class."""
    pixels = np.random.default_rng(0).integers(0, 2, (4, 785))
    for width in (784, 785):
        np.savetxt(tmp_path / "x.amat", pixels[:, :width], fmt="%d")
        data = load(tmp_path / "x.amat", whole=True)
        assert data.image_shape == (28, 28)
        np.testing.assert_array_equal(data.test.numpy(), pixels[:, :784])
    np.testing.assert_array_equal(data.labels["test"].numpy(), pixels[:, 784])


def pictures(folder: Path, shape: tuple[int, ...], count: int = 4, ending: str = "png") -> Any:
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(len(str(folder))).integers(0, 256, (count, *shape), dtype=np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{i}.{ending}")
    return pixels


def test_folders_of_pictures(tmp_path: Path) -> None:
    grey = pictures(tmp_path / "grey", (4, 3))
    (tmp_path / "grey" / "notes.txt").write_text("not a picture")
    data = load("grey", data_dir=tmp_path, whole=True)
    np.testing.assert_array_equal(data.test.numpy(), (grey.reshape(4, 12) / 255).astype(np.float32))
    assert data.image_shape == (4, 3) and data.scale == 255 and len(data.sha256) == 64
    colour = pictures(tmp_path / "mixed", (4, 3, 3))
    Image.fromarray(grey[0]).save(tmp_path / "mixed" / "9.png")
    data = load(tmp_path / "mixed", whole=True)
    expected = np.concatenate([colour, np.repeat(grey[:1, ..., None], 3, -1)]).reshape(5, 36) / 255
    np.testing.assert_array_equal(data.test.numpy(), expected.astype(np.float32))
    assert data.image_shape == (4, 3, 3)
    black = Image.fromarray(np.zeros((4, 3), np.uint8))
    (tmp_path / "ink").mkdir()
    black.save(tmp_path / "ink" / "0.png")
    Image.fromarray(np.full((4, 3), 255, np.uint8)).convert("1").save(tmp_path / "ink" / "1.png")
    assert load(tmp_path / "ink", whole=True).test.mean(1).tolist() == [0, 1]


def test_splits_and_classes_in_subfolders(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for label in ("cat", "dog"):
            pictures(tmp_path / "pets" / split / label, (2, 2), 2)
    data = load(tmp_path / "pets")
    assert [len(data.split(split)) for split in SPLITS] == [4, 4, 4]
    assert all(data.labels[split].tolist() == [0, 0, 1, 1] for split in SPLITS)
    by_class = load(tmp_path / "pets" / "train", whole=True)
    assert torch.equal(by_class.test, data.train) and by_class.labels["test"].tolist() == [0, 0, 1, 1]
    for path in (tmp_path / "pets" / "test" / "cat").iterdir():
        path.unlink()
    (tmp_path / "pets" / "test" / "cat").rmdir()  # a class that a split has nothing of keeps its number
    assert load(tmp_path / "pets").labels["test"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("x.csv", "a,b\n1,2\n3,\n", "line 3, column 'b' is empty"),
        ("x.csv", "1,2\n3,two\n", "line 2, column 2 is 'two', no number"),
        ("x.csv", "cell,a\nT1,2\nT2,3\n", "line 2, column 'cell' is 'T1', no number.*leave out such columns"),
        ("x.csv", "1,2\n3\n", "line 2 has 1 values, the first one 2"),
        ("x.csv", ",a\n0,5\n1,6\n2,7\n", r"first column has no name and counts the rows.*index_col=0"),
        ("x.csv", "label\n0\n1\n2\n", "classes only"),
        ("x.csv", "a,b\n", "no data: the file has a header only"),
        ("x.csv", "", "no data"),
        ("x.csv", "1,2\n3,nan\n5,6\n", "row 1 of the train array has values that are NaN"),
        ("x.tsv", "1,2\n3,4\n", "line 1, column '1,2'|no data|no number"),
        ("x.amat", "1 2\n3 4 5\n", "line 2 has 3 values, the first one 2"),
        ("x.pt", "text", "not a file of torch.save: it starts with 74 65 78 74"),
        ("x.safetensors", "text", "cannot be read as a .safetensors file"),
        ("x.h5ad", "text", "cannot be read as an .h5ad file"),
        (
            "x.xlsx",
            "text",
            r"files that end in \.xlsx are not read.*numpy.save\('x.npy', pandas.read_excel\('x.xlsx'\).to_numpy\(\)\)",
        ),
        ("x.dat", "text", r"files that end in \.dat are not read.*numpy.save\('x.npy', array\)"),
        ("x.csv", "id,a\n1,5\n2,6\n3,7\n", r"first column is called 'id' and counts the rows 1, 2, 3"),
        ("x.csv", "0,1,2\n1,3,4\n", r"the first line counts the columns.*header=False"),
        ("x.csv", "a;b\n1,5;2\n", r"column 'a' is '1,5', no number: decimals with commas; .*sep=';', decimal=','"),
        ("x.csv", "1 2\n3 4\n", "columns apart by blanks are read of .amat files"),
        ("x", "text", "files without an ending are not read"),
        ("x.parquet", "text", "cannot be read as a .parquet file|elbowroom.parquet"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((ValueError, ImportError), match=told) as error:
        load(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_other_things_in_files_of_tensors(tmp_path: Path) -> None:
    for value, told in (
        ([torch.ones(2, 2)] * 3, "it holds a list, expected a tensor"),
        ({"a": torch.ones(2, 2)}, "no array to train on. Its keys are 'a'"),
        ({"encoder.weight": torch.ones(2, 2)}, "weights of a network, no data: .*load_weights"),
        ({"state_dict": {"weight": torch.ones(2, 2)}}, "weights of a network"),
        ({"weight": torch.ones(2, 2), "bias": torch.ones(2)}, "weights of a network"),
        (torch.ones(784), "a vector of shape .784."),
        ({"x": np.ones((3, 3))}, r"besides tensors \(numpy.*_reconstruct\).*weights_only=False.*'x-data.pt'"),
        (TensorDataset(torch.ones(2, 2)), r"\(torch.*TensorDataset\).*weights_only=False\)\.tensors, and save"),
    ):
        torch.save(value, tmp_path / "x.pt")
        with pytest.raises(ValueError, match=told):
            load(tmp_path / "x.pt")


def test_annotated_matrices_without_x(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        file["obs"] = np.ones(3)
    with pytest.raises(ValueError, match="no matrix X; it has obs"):
        load(tmp_path / "x.h5ad")
    h5ad_of(tmp_path / "y.h5ad", "csr")
    with h5py.File(tmp_path / "y.h5ad", "a") as file:
        file["X"]["indices"][0] = 10**6
    with pytest.raises(ValueError, match=r"y\.h5ad: cannot be read"):
        load(tmp_path / "y.h5ad")


def test_pictures_that_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "sizes", (4, 3))
    Image.fromarray(np.zeros((5, 3), np.uint8)).save(tmp_path / "sizes" / "4.png")
    with pytest.raises(ValueError, match=r"0\.png has 4×3 pixels, 4\.png 5×3 \(1 of 5 differ"):
        load(tmp_path / "sizes")
    pictures(tmp_path / "alpha", (4, 3, 4))
    with pytest.raises(ValueError, match=r"0\.png: cannot be taken as a picture: it is transparent"):
        load(tmp_path / "alpha")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "0.png").write_bytes(b"\x89PNG and so on")
    with pytest.raises(ValueError, match=r"0\.png: cannot be taken as a picture"):
        load(tmp_path / "damaged")
    Image.fromarray(np.zeros((4, 3), np.uint16)).save(tmp_path / "damaged" / "0.png")
    with pytest.raises(ValueError, match=r"its pixels are of the kind 'I;16'.*of 16 bits, PIL\.Image\.fromarray"):
        load(tmp_path / "damaged")
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"a folder without pictures .*There is sub"):
        load(tmp_path / "empty")


def test_pictures_that_would_be_passed_over(tmp_path: Path) -> None:
    """Beside splits or classes, or below them: they are a mistake, or data. What is hidden is neither."""
    for place in ("among", "among/sub", "among/.thumbnails", "deep/a", "deep/a/b", "extra/train", "extra/more"):
        pictures(tmp_path / place, (2, 2), 3)
    for folder, other in (("among", "sub/0.png"), ("deep", "a/b/0.png"), ("extra", "more/0.png")):
        with pytest.raises(ValueError, match=rf"3 pictures are read, and 3 lie elsewhere below it, such as {other}"):
            load(tmp_path / folder)
    with pytest.raises(ValueError, match="subfolders test, but no train: name one of them"):
        pictures(tmp_path / "held" / "test", (2, 2))
        load(tmp_path / "held")


def test_pickles_have_their_conversion(tmp_path: Path) -> None:
    batch = {b"batch_label": b"one", b"data": np.zeros((5, 3072), np.uint8), b"labels": [0, 1, 2, 3, 4]}
    (tmp_path / "cifar").mkdir()
    (tmp_path / "cifar" / "data_batch_1").write_bytes(pickle.dumps(batch, protocol=2))
    told = r"a batch of CIFAR, which is a pickle.*any code: refused.*np\.savez\('data_batch_1\.npz', x=d\[b'data'\]"
    with pytest.raises(ValueError, match=told) as error:
        load(tmp_path / "cifar" / "data_batch_1")
    line = str(error.value).split('python -c "')[1].rstrip('"')
    with pytest.MonkeyPatch.context() as here:
        here.chdir(tmp_path / "cifar")
        exec(line, {})  # what the message says does what it says
        assert load("data_batch_1.npz", whole=True).test.shape == (5, 3072)
    with pytest.raises(ValueError, match="Its data_batch files are pickles"):
        load(tmp_path / "cifar")
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(X))
    with pytest.raises(ValueError, match=r"x\.pkl: a pickle, .*np\.save\('x\.npy'"):
        load(tmp_path / "x.pkl")
