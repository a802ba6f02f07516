"""What is there and is not read: what was found in the file, and one line that converts it."""

import tarfile
import zipfile
from pathlib import Path

_PICKLES = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_CIFAR = (b"batch_label", b"coarse_labels", b"fine_labels")
_READ = {
    ".h5": "h5py.File({0!r})['x'][:]",
    ".hdf5": "h5py.File({0!r})['x'][:]",
    ".txt": "numpy.loadtxt({0!r})",
    ".json": "numpy.array(json.load(open({0!r})))",
    ".xlsx": "pandas.read_excel({0!r}).to_numpy()",
    ".feather": "pandas.read_feather({0!r}).to_numpy()",
    ".arff": "numpy.array(scipy.io.arff.loadarff({0!r})[0].tolist())",
}
"""What reads a file into an array, by its ending."""
_START = 1 << 16  # bytes that are looked at


def why_not_read(path: Path, endings: str) -> str:
    """Why a file that exists is no data set, in words.

    Args:
        path: the file.
        endings: what is read, for the message.
    """
    with path.open("rb") as stream:
        start = stream.read(_START)
    if start.startswith(_PICKLES):
        cifar = any(mark in start for mark in _CIFAR) or path.name.startswith(("data_batch", "test_batch"))
        what = "a batch of CIFAR, which is a pickle" if cifar else "a pickle"
        return f"{path}: {what}, and unpickling can run any code: refused. {pickle_conversion(path.name, cifar=cifar)}"
    if zipfile.is_zipfile(path) or start.startswith(b"\x1f\x8b") or tarfile.is_tarfile(path):
        return f"{path}: a packed file: unpack it, and name the file with the data in it (it ends in {endings})"
    kind = f"files that end in {path.suffix}" if path.suffix else "files without an ending"
    array = _READ.get(path.suffix.lower(), "array").format(path.name)
    first = "make an" if array != "array" else "read it into an"
    return (
        f"{path}: the file is there, but {kind} are not read. Read are {endings}, and folders of pictures. Convert it: "
        f"{first} array [N, …] of it, a datum a row, and numpy.save({path.stem + '.npy'!r}, {array})"
    )


def pickle_conversion(name: str, *, cifar: bool = True) -> str:
    """One line that makes an .npz of a pickle that somebody trusts."""
    read = f"np.load({name!r}, allow_pickle=True, encoding='bytes')"
    if cifar:
        arrays = "x=d[b'data'].reshape(-1, 3, 32, 32), y=d.get(b'labels') or d[b'fine_labels']"
        made = f"d = {read}; np.savez({name + '.npz'!r}, {arrays})"
    else:
        made = f"np.save({Path(name).stem + '.npy'!r}, np.asarray({read}, float))"
    return f'If you trust it, convert it once: python -c "import numpy as np; {made}"'
