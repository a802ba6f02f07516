"""Files that are whole or not there: written beside their place, fsynced, renamed."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Make a directory of files appear at once: a temporary sibling is filled, every file fsynced, then renamed.

    Raises:
        OSError: nothing is left behind but what was there before.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        for name, content in files.items():
            _write(temporary / name, content)
        sync_directory(temporary)
        os.rename(temporary, path)
        sync_directory(path.parent)
    except OSError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically: readers see the old content or the new.

    Raises:
        OSError: the old content is still there.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        _write(temporary, content)
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
