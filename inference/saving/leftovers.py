"""Temporary files: made under names that nobody can guess, held while they are written, swept when their writer died.

A temporary of `evidence.json` is `.evidence.json.<16 hexadecimal digits>.tmp` beside it, locked by its writer until it
is renamed. One that nobody holds is of a process that was killed.
"""

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

from elbowroom.inference.saving.locks import NO_LINK, hold, is_same

_NAME = re.compile(r"\.(?P<of>.+)\.[0-9a-f]{16}\.tmp", re.DOTALL)


def temporary_name(path: Path) -> Path:
    """A sibling of `path`, of a name that is new and that nobody can guess."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


@contextmanager
def new_file(path: Path) -> Iterator[tuple[Path, int]]:
    """A new temporary file of `path`, open for writing and held; removed at the end if it is still there."""
    while True:
        temporary = temporary_name(path)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666)
        if hold(descriptor) is not False and temporary.exists():
            break
        os.close(descriptor)  # swept before it was held
    try:
        yield temporary, descriptor
    finally:
        with suppress(OSError):
            temporary.unlink()
        os.close(descriptor)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A new temporary folder of `path`, held; removed at the end with what is in it, if it is still there."""
    while True:
        temporary = temporary_name(path)
        temporary.mkdir()
        descriptor = os.open(temporary, os.O_RDONLY | NO_LINK)
        if hold(descriptor) is not False and temporary.exists():
            break
        os.close(descriptor)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(descriptor)


def sweep(folder: Path, *files: str) -> None:
    """Remove temporaries of these files (names, or patterns such as `*.safetensors`) whose writers are dead.

    Nothing else: what somebody holds, links, and files of any other name stay.
    """
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            found = _NAME.fullmatch(entry.name)
            if found and any(fnmatchcase(found["of"], file) for file in files):
                _remove_if_orphan(Path(entry.path))


def _remove_if_orphan(temporary: Path) -> None:
    mode = temporary.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return
    descriptor = os.open(temporary, os.O_RDONLY | NO_LINK)
    try:
        if hold(descriptor) and is_same(temporary, descriptor):
            shutil.rmtree(temporary, ignore_errors=True) if stat.S_ISDIR(mode) else temporary.unlink()
    finally:
        os.close(descriptor)
