"""Files that are whole or not there: written beside their place, fsynced, renamed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from elbowroom.inference.saving.disk import writing
from elbowroom.inference.saving.leftovers import new_file, new_folder, sweep


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Make a directory of files appear at once: a temporary sibling is filled, every file fsynced, then renamed.

    Raises:
        WriteError: nothing is left behind but what was there before.
    """
    with writing(path, sum(map(len, files.values()))):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        with new_folder(path) as temporary:
            for name, content in files.items():
                descriptor = os.open(temporary / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
                try:
                    _fill(descriptor, content)
                finally:
                    os.close(descriptor)
            _sync(temporary)
            os.rename(temporary, path)
            _sync(path.parent)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically: readers see the old content or the new. Its folder is made if it is not there.

    For any number of writers: each has a temporary file of its own.

    Raises:
        WriteError: the old content is still there.
    """
    with writing(path, len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        with new_file(path) as (temporary, descriptor):
            _fill(descriptor, content)
            os.replace(temporary, path)
            _sync(path.parent)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path at which a library writes a file of the same name; it is then synced and renamed to `path`.

    As `replace_file`, which is to be preferred where the content can be had as bytes.

    Raises:
        WriteError: as of `replace_file`.
    """
    final = Path(path)
    with writing(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        sweep(final.parent, final.name)
        with new_folder(final) as folder, writing(final, folder / final.name):
            yield folder / final.name
            _sync(folder / final.name)
            os.replace(folder / final.name, final)
            _sync(final.parent)


def replace_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text to a file by way of `replace_file`, and return its path."""
    replace_file(Path(path), text.encode("utf-8"))
    return Path(path)


def _fill(descriptor: int, content: bytes) -> None:
    """Write all of it, durably."""
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fsync(descriptor)


def _sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
