"""Files that are whole or not there: written beside their place, fsynced, renamed."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Make a directory of files appear at once: a temporary sibling is filled, every file fsynced, then renamed.

    Raises:
        OSError: nothing is left behind but what was there before.
    """
    temporary = _temporary(path)
    try:
        temporary.mkdir(parents=True)
        for name, content in files.items():
            _write(temporary / name, content)
        _sync(temporary)
        os.rename(temporary, path)
        _sync(path.parent)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically: readers see the old content or the new.

    Raises:
        OSError: the old content is still there.
    """
    temporary = _temporary(path)
    try:
        _write(temporary, content)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary sibling of `path` to be written, then synced and renamed to it; removed if anything goes wrong.

    For libraries that write files themselves, and for any number of writers. The folder is made if it is not there.
    Readers see the file before or the file after.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=final.parent, prefix=f".{final.stem}.", suffix=final.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o666 & ~_umask())  # mkstemp lets nobody else read
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


def replace_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text to a file by way of `replacing`, and return its path."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def _sync(path: Path) -> None:
    """Make a file's content, or the names in a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    """A sibling of a name that nobody can foresee."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def _write(path: Path, content: bytes) -> None:
    """Make a new file: what lies there already, or is a link, is an error."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
