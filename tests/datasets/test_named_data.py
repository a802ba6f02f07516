"""The data sets known by name: the embedded digits, and the files of the others."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from elbowroom.datasets import NAMES, SPLITS, Dataset, load
from elbowroom.datasets.digits import FOLDER
from elbowroom.datasets.sources import SOURCES
from elbowroom.datasets.splits import DIGITS
from toys.dataset_files import real_data, write_mnist


def test_digits_are_those_of_scikit_learn() -> None:
    """Bit for bit: images and labels, and where each went."""
    datasets = pytest.importorskip("sklearn.datasets")
    truth = datasets.load_digits()
    with np.load(FOLDER / "digits.npz", allow_pickle=False) as kept:
        assert kept["x"].dtype == np.uint8
        np.testing.assert_array_equal(kept["x"], truth.images)
        np.testing.assert_array_equal(kept["y"], truth.target)
    digits = load("digits")
    for split, (_, rows) in DIGITS.plan({"train": 1797}, "digits").items():
        np.testing.assert_array_equal(digits.split(split).numpy() * 16, truth.data[rows])
        np.testing.assert_array_equal(digits.labels[split].numpy(), truth.target[rows])


def test_digits() -> None:
    digits = load("digits")
    assert [len(digits.split(split)) for split in SPLITS] == [1257, 180, 360]
    assert digits.image_shape == (8, 8) and digits.scale == 16 and digits.name == "digits"
    assert {x.dtype for x in (digits.train, digits.validation, digits.test)} == {torch.float32}
    assert digits.train.min() == 0 and digits.train.max() == 1
    assert {y.dtype for y in digits.labels.values()} == {torch.int64}


def test_digits_need_no_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ELBOWROOM_DATA", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    assert len(load("Digits").test) == 360


def test_which_data_are_held_out_does_not_depend_on_the_seed() -> None:
    one, other = load("digits", seed=1), load("digits", seed=2)
    assert all(torch.equal(one.split(split), other.split(split)) for split in SPLITS)


def test_record_is_json_and_tells_data_apart() -> None:
    records = [
        load("digits", binarize="static", seed=0).record(),
        load("digits", binarize="static", seed=1).record(),
        load("digits").record(),
    ]
    assert json.loads(json.dumps(records)) == records
    same = load("digits", binarize="static", seed=0)
    assert same.record() == records[0]
    digests = [record["sha256"] for record in records]
    assert len({d["source"] for d in digests}) == 1
    assert len({d["test"] for d in digests}) == 3
    assert digests[0]["source"] == hashlib.sha256((FOLDER / "digits.npz").read_bytes()).hexdigest() == same.sha256
    assert digests[0]["train"] == hashlib.sha256(same.train.numpy().astype("<f4").tobytes()).hexdigest()
    assert records[0]["sizes"] == {"train": 1257, "validation": 180, "test": 360}
    assert (records[1]["seed"], records[1]["binarize"], records[1]["files"]) == (1, "static", ["digits.npz"])


def test_split_names() -> None:
    digits = load("digits")
    assert digits.split("validation") is digits.validation
    with pytest.raises(ValueError, match="one of train, validation, test, got 'valid'"):
        digits.split("valid")
    with pytest.raises(dataclasses.FrozenInstanceError):
        digits.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("folder", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_from_idx_files(tmp_path: Path, folder: str, zipped: bool) -> None:
    write_mnist(tmp_path / folder, zipped=zipped)
    mnist = load("mnist", data_dir=tmp_path)
    assert [len(mnist.split(split)) for split in SPLITS] == [10, 2, 3]
    assert mnist.image_shape == (28, 28) and mnist.scale == 255
    assert mnist.train[0, 0] == 1 and mnist.train[0, 1] == torch.tensor(128.0, dtype=torch.float32) / 255
    assert {split: len(y) for split, y in mnist.labels.items()} == {"train": 10, "validation": 2, "test": 3}
    content = b"".join(path.read_bytes() for path in mnist.files)
    assert len(mnist.files) == 4 and mnist.sha256 == hashlib.sha256(content).hexdigest()


def test_idx_and_npz_give_the_same_data(tmp_path: Path) -> None:
    """The four IDX files and a Keras-like .npz of the same numbers, with and without image dimensions."""
    write_mnist(tmp_path / "idx")
    idx = load("mnist", data_dir=tmp_path / "idx")
    x = {split: (idx.split(split).numpy() * 255).round().astype(np.uint8) for split in SPLITS}
    train, y_train = np.concatenate([x["train"], x["validation"]]), torch.cat([idx.labels[s] for s in SPLITS[:2]])
    for name, shape in (("flat", (-1, 784)), ("images", (-1, 28, 28)), ("channel", (-1, 28, 28, 1))):
        (tmp_path / name).mkdir()
        arrays = {"x_train": train.reshape(shape), "x_test": x["test"].reshape(shape), "y_train": y_train.numpy()}
        np.savez_compressed(tmp_path / name / "mnist.npz", **arrays)
        npz = load("mnist", data_dir=tmp_path / name)
        assert all(torch.equal(npz.split(split), idx.split(split)) for split in SPLITS)
        assert npz.image_shape == (28, 28)
        assert torch.equal(npz.labels["validation"], idx.labels["validation"]) and "test" not in npz.labels


def test_mnist_and_fashion_mnist_are_not_mixed_up(tmp_path: Path) -> None:
    """Both come in files of the same names: the folder says whose they are."""
    write_mnist(tmp_path, seed=1)
    write_mnist(tmp_path / "FashionMNIST" / "raw", seed=2)
    mnist, fashion = load("mnist", data_dir=tmp_path), load("fashion_mnist", data_dir=tmp_path)
    assert not torch.equal(mnist.train, fashion.train) and fashion.name == "fashion-mnist"
    inside = load("fashion-mnist", data_dir=tmp_path / "FashionMNIST" / "raw")
    assert torch.equal(inside.train, fashion.train)
    with pytest.raises(FileNotFoundError, match="'mnist' was not found"):
        load("mnist", data_dir=tmp_path / "FashionMNIST" / "raw")
    write_mnist(tmp_path / "only")
    with pytest.raises(FileNotFoundError, match="in a folder named fashion-mnist"):
        load("fashion-mnist", data_dir=tmp_path / "only")


def test_omniglot_from_the_iwae_file(tmp_path: Path) -> None:
    """Columns are images in column-major order: pixel (row, column) is entry row + 28 · column."""
    rng = np.random.default_rng(0)
    data, test = rng.random((784, 20)), rng.random((784, 4))
    alphabets = np.eye(50)[rng.integers(0, 50, 20)].T
    savemat(tmp_path / "chardata.mat", {"data": data, "testdata": test, "target": alphabets})
    omniglot = load("omniglot", data_dir=tmp_path)
    assert [len(omniglot.split(split)) for split in SPLITS] == [19, 1, 4]
    images = omniglot.test.reshape(-1, *(omniglot.image_shape or ())).numpy()
    assert images[3, 5, 11] == np.float32(test[5 + 28 * 11, 3])
    train = {tuple(x.tolist()): int(y) for x, y in zip(omniglot.train, omniglot.labels["train"], strict=True)}
    for n in range(20):
        pixels = tuple(data[:, n].astype(np.float32).reshape(28, 28).T.reshape(-1).tolist())
        assert train.get(pixels, alphabets[:, n].argmax()) == alphabets[:, n].argmax()
    savemat(tmp_path / "chardata.mat", {"data": data.T, "testdata": test})
    with pytest.raises(ValueError, match=r"variable 'data' of shape \[784, N\]; it has shape \[20, 784\]"):
        load("omniglot", data_dir=tmp_path)


def test_frey_faces_from_the_mat_file(tmp_path: Path) -> None:
    """Columns are frames in row-major order, and the splits are consecutive frames."""
    frames = np.random.default_rng(0).integers(0, 256, (560, 30), dtype=np.uint8)
    (tmp_path / "freyfaces").mkdir()
    savemat(tmp_path / "freyfaces" / "frey_rawface.mat", {"ff": frames})
    frey = load("freyfaces", data_dir=tmp_path)
    joined = torch.cat([frey.split(split) for split in SPLITS])
    np.testing.assert_array_equal((joined.numpy() * 255).round(), frames.T)
    assert frey.image_shape == (28, 20) and not frey.labels
    savemat(tmp_path / "freyfaces" / "frey_rawface.mat", {"gg": frames})
    with pytest.raises(ValueError, match=r"variable 'ff' of shape \[560, N\]; it is not there"):
        load("freyfaces", data_dir=tmp_path)


def test_missing_files_are_named_with_the_places_and_the_way_out(tmp_path: Path) -> None:
    for name in (name for name, source in SOURCES.items() if source.embedded is None):
        with pytest.raises(FileNotFoundError) as error:
            load(name, data_dir=tmp_path)
        for part in (f"{name}.npz", str(tmp_path / name), "data_dir", "ELBOWROOM_DATA", "Nothing is downloaded"):
            assert part in str(error.value)
    write_mnist(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte.gz.* but lacks t10k-images-idx3-ubyte"):
        load("mnist", data_dir=tmp_path)


def test_data_folder_from_argument_or_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ELBOWROOM_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"'mnist' is not embedded and no data folder is given.*ELBOWROOM_DATA"):
        load("mnist")
    monkeypatch.setenv("ELBOWROOM_DATA", str(tmp_path / "env"))
    with pytest.raises(FileNotFoundError, match=r"ELBOWROOM_DATA: there is no folder"):
        load("mnist")
    with pytest.raises(FileNotFoundError, match=r"data_dir: there is no folder"):
        load("mnist", data_dir=tmp_path / "none")
    write_mnist(tmp_path / "env", seed=1)
    write_mnist(tmp_path / "argument", seed=2)
    from_env, from_argument = load("mnist"), load("mnist", data_dir=tmp_path / "argument")
    assert from_env.files[0].parent == tmp_path / "env" and from_argument.files[0].parent == tmp_path / "argument"


@pytest.mark.parametrize(("name", "near"), [("mnits", "mnist"), ("fashionmnist", "fashion-mnist"), ("digit", "digits")])
def test_unknown_name(name: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"unknown data set '{name}'; did you mean '{near}'.*{', '.join(NAMES)}"):
        load(name)


def test_a_named_set_is_what_its_name_says(tmp_path: Path) -> None:
    """Other sizes, and grey values that are not in [0, 1], are refused under the name of a set of images."""
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros((9, 8, 8), np.uint8), x_test=np.zeros((2, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="data of 8×8 values, but mnist has 28×28 pixels"):
        load("mnist", data_dir=tmp_path)
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros((9, 14, 56), np.uint8), x_test=np.zeros((2, 14, 56), np.uint8))
    with pytest.raises(ValueError, match="data of 14×56 values"):
        load("mnist", data_dir=tmp_path)
    np.savez(tmp_path / "mnist.npz", x_train=np.full((9, 784), 200.0), x_test=np.zeros((2, 784)))
    with pytest.raises(ValueError, match=r"train array: grey values lie in \[0, 1\], but these go from 200 to 200"):
        load("mnist", data_dir=tmp_path)
    np.savez(tmp_path / "mnist.npz", x=np.zeros((9, 784), np.uint8))
    with pytest.raises(ValueError, match="no test array"):
        load("mnist", data_dir=tmp_path)


def check_real(data: Dataset, sizes: tuple[int, int, int], shape: tuple[int, int], mean: float) -> None:
    assert tuple(len(data.split(split)) for split in SPLITS) == sizes
    assert data.image_shape == shape and data.scale == 255
    assert abs(data.train.mean(dtype=torch.float64).item() - mean) < 5e-5


def test_real_mnist() -> None:
    """The mean grey value of the 60000 training images is 0.1307 (here: of the first 50000)."""
    mnist = load("mnist", data_dir=real_data("mnist/mnist.npz"))
    check_real(mnist, (50000, 10000, 10000), (28, 28), 0.13096)
    both = torch.cat([mnist.train, mnist.validation]).mean(dtype=torch.float64).item()
    assert abs(both - 0.1307) < 5e-5
    assert mnist.labels["train"][:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.labels["test"][:5].tolist() == [7, 2, 1, 0, 4]
    assert torch.bincount(mnist.labels["test"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_real_frey_faces() -> None:
    check_real(load("freyfaces", data_dir=real_data("freyfaces/freyfaces.npz")), (1573, 196, 196), (28, 20), 0.60339)
