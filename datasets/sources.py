"""The data sets known by name: the files they come in, how these are read, how the splits are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets import digits
from elbowroom.datasets.archives import read_mat_variables, read_npz
from elbowroom.datasets.arrays import Arrays
from elbowroom.datasets.idx import read_idx
from elbowroom.datasets.linear_system import linear_system
from elbowroom.datasets.splits import DIGITS, FRAMES, LAST_SIXTH, OMNIGLOT, TENTHS, Rule
from elbowroom.datasets.topics import read_topics

Files = Mapping[str, Path]
"""Part of a layout -> its file."""


@dataclass(frozen=True)
class Layout:
    """One way of storing a data set.

    Attributes:
        parts: part -> its file names, of which the first one that exists is read; none, if the data are made here.
        read: from the files to the arrays.
        optional: parts that may be absent.
        shared: other data sets use the same file names: outside a folder named after the set they are MNIST's.
    """

    parts: Mapping[str, tuple[str, ...]]
    read: Callable[[Files], Arrays]
    optional: frozenset[str] = frozenset()
    shared: bool = False


@dataclass(frozen=True)
class Source:
    """A data set by name.

    Attributes:
        layouts: how it may be stored, the first one found is read.
        rule: how it is split.
        image_shape: (height, width); data of another size are refused.
        folders: subfolders of the data folder that are looked into.
        embedded: the folder it lies in, if it comes with the package.
    """

    layouts: tuple[Layout, ...]
    rule: Rule
    image_shape: tuple[int, ...] | None = None
    folders: tuple[str, ...] = ()
    embedded: Path | None = None


def _single(read: Callable[[Path], Arrays], *names: str) -> Layout:
    return Layout({"file": names}, lambda files: read(files["file"]))


def _read_four_idx(files: Files) -> Arrays:
    return Arrays(
        data={split: read_idx(files[f"{split} images"]) for split in ("train", "test")},
        labels={s: read_idx(files[f"{s} labels"]) for s in ("train", "test") if f"{s} labels" in files},
    )


def _read_chardata(path: Path) -> Arrays:
    """`data` and `testdata` `[784, N]`, each column an image in column-major order; `target`: the alphabet, one-hot."""
    variables = read_mat_variables(path)
    data = {s: _columns(variables, key, (28, 28), path) for s, key in {"train": "data", "test": "testdata"}.items()}
    targets = {s: variables[key] for s, key in {"train": "target", "test": "testtarget"}.items() if key in variables}
    return Arrays(
        data={split: x.transpose(0, 2, 1) for split, x in data.items()},
        labels={split: one_hot.argmax(0) for split, one_hot in targets.items()},
    )


def _read_rawface(path: Path) -> Arrays:
    """`ff` `[560, N]`, each column a frame in row-major order."""
    return Arrays({"train": _columns(read_mat_variables(path), "ff", (28, 20), path)})


def _columns(variables: Mapping[str, Any], key: str, shape: tuple[int, int], path: Path) -> NDArray[Any]:
    size = shape[0] * shape[1]
    found = variables.get(key)
    if not isinstance(found, np.ndarray) or found.ndim != 2 or len(found) != size:
        what = "is not there" if found is None else f"has shape {list(np.shape(found))}"
        raise ValueError(f"{path}: expected the variable {key!r} of shape [{size}, N]; it {what}")
    return found.T.reshape(-1, *shape)


def _idx(name: str) -> tuple[str, ...]:
    """The names an IDX file goes by: with '-' or '.' before 'idx', gzipped or not."""
    dotted = name.replace("-idx", ".idx")
    return (name, f"{name}.gz", dotted, f"{dotted}.gz")


_FOUR_IDX = Layout(
    parts={
        "train images": _idx("train-images-idx3-ubyte"),
        "test images": _idx("t10k-images-idx3-ubyte"),
        "train labels": _idx("train-labels-idx1-ubyte"),
        "test labels": _idx("t10k-labels-idx1-ubyte"),
    },
    read=_read_four_idx,
    optional=frozenset({"train labels", "test labels"}),
    shared=True,
)

SOURCES: dict[str, Source] = {
    "digits": Source((_single(digits.read_digits, "digits.npz"),), DIGITS, (8, 8), embedded=digits.FOLDER),
    "linear-system": Source((Layout({}, lambda files: linear_system()),), TENTHS, embedded=digits.FOLDER),
    "mnist": Source((_single(read_npz, "mnist.npz"), _FOUR_IDX), LAST_SIXTH, (28, 28), ("mnist", "MNIST", "MNIST/raw")),
    "fashion-mnist": Source(
        (_single(read_npz, "fashion-mnist.npz", "fashion_mnist.npz"), _FOUR_IDX),
        LAST_SIXTH,
        (28, 28),
        ("fashion-mnist", "fashion_mnist", "FashionMNIST", "FashionMNIST/raw"),
    ),
    "omniglot": Source(
        (_single(read_npz, "omniglot.npz"), _single(_read_chardata, "chardata.mat")),
        OMNIGLOT,
        (28, 28),
        ("omniglot", "OMNIGLOT"),
    ),
    "freyfaces": Source(
        (_single(read_npz, "freyfaces.npz"), _single(_read_rawface, "frey_rawface.mat")),
        FRAMES,
        (28, 20),
        ("freyfaces",),
    ),
    "topics-simulated": Source((Layout({}, lambda files: read_topics()),), TENTHS, embedded=digits.FOLDER),
}

NAMES = tuple(SOURCES)
"""The data sets that `load` knows by name."""
