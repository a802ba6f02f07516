"""Files of one's own: which reader takes a file by its name, and what is refused with a way out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from elbowroom.datasets import annotated, archives, image_folder, tables, tensors
from elbowroom.datasets.arrays import Arrays
from elbowroom.datasets.bags import VOCABULARY_FILE, read_vocabulary
from elbowroom.datasets.idx import read_idx
from elbowroom.datasets.refusals import why_not_read
from elbowroom.datasets.sources import SOURCES, Files, Layout, Source
from elbowroom.datasets.splits import TENTHS

Reader = Callable[[Path], Arrays]

SETS_BY_FILE = {"chardata.mat": "omniglot", "frey_rawface.mat": "freyfaces"}
"""Files that hold a named set in a layout of their own (a datum a column): read as that set is."""

ENDINGS = (
    ".npy, .npz, .mat, .pt, .pth, .safetensors, .csv, .tsv, .parquet, .h5ad, .amat, .idx, -idx3-ubyte "
    "(the last two also .gz)"
)
"""What a file of one's own may end in, for messages."""


def own_source(path: Path) -> Source:
    """The source that an existing file, or a folder of pictures, is.

    Raises:
        ValueError: if no reader is known for it, with what it is and how to convert it.
    """
    if not path.is_file() and not path.is_dir():
        raise ValueError(f"{path}: a device or a pipe, which may never end; give a file, or a folder of pictures")
    if path.is_dir():
        return Source((_single(image_folder.read_images, path.name),), TENTHS)
    if path.name.lower() in SETS_BY_FILE:
        named = SOURCES[SETS_BY_FILE[path.name.lower()]]
        return replace(named, layouts=tuple(x for x in named.layouts if path.name.lower() in x.parts["file"]))
    reader = _reader_of(path.name.lower())
    if reader is None:
        raise ValueError(why_not_read(path, ENDINGS))
    return Source((_with_words(reader, path),), TENTHS)


def has_reader(name: str) -> bool:
    """Whether a file of that name would be read."""
    return _reader_of(name.lower()) is not None


def _single(read: Reader, name: str) -> Layout:
    return Layout({"file": (name,)}, lambda files: read(files["file"]))


def _with_words(read: Reader, path: Path) -> Layout:
    """A file, and the words of its columns beside it, if they are there."""

    def both(files: Files) -> Arrays:
        arrays = read(files["file"])
        return replace(arrays, vocabulary=read_vocabulary(files["words"])) if "words" in files else arrays

    parts = {"file": (path.name,), "words": (VOCABULARY_FILE.format(path.stem),)}
    return Layout(parts, both, optional=frozenset({"words"}))


def _reader_of(name: str) -> Reader | None:
    return next((reader for ending, reader in _READERS.items() if name.endswith(ending)), None)


def _read_one_idx(path: Path) -> Arrays:
    return Arrays({"train": read_idx(path)})


_READERS: dict[str, Reader] = {
    ".npy": archives.read_npy,
    ".npz": archives.read_npz,
    ".mat": archives.read_mat,
    ".pt": tensors.read_torch,
    ".pth": tensors.read_torch,
    ".safetensors": tensors.read_safetensors,
    ".csv": tables.read_delimited,
    ".tsv": tables.read_delimited,
    ".parquet": tables.read_parquet,
    ".amat": tables.read_amat,
    ".h5ad": annotated.read_h5ad,
    **{
        ending + zipped: _read_one_idx
        for ending in (".idx", *(f"{dot}idx{ndim}-ubyte" for dot in ".-" for ndim in (1, 2, 3, 4)))
        for zipped in ("", ".gz")
    },
}
