"""Folders to write to, on this machine's disks or behind any URL that fsspec knows : `s3://…`, `gs://…`.

Locally a file is written durably and no link is followed (durable.py, links.py); `file://` is the local disk, too.
Object stores show an object when all of it is there, so writing one is as atomic; they have no locks.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from elbowroom.inference.saving.disk import WriteError
from elbowroom.inference.saving.durable import replace_file, replacing
from elbowroom.inference.saving.links import check_no_link
from elbowroom.inference.saving.one_writer import only_writer
from elbowroom.inference.saving.reading import memory, opened, read_bytes


class Place(Protocol):
    """A folder, whose files are named by paths relative to it, such as `chunks/000000.safetensors`."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    def read(self, file: str) -> bytes:
        """All of a file; FileNotFoundError if it is not there."""

    def read_part(self, file: str, start: int, count: int) -> bytes:
        """So many of its bytes, from one on."""

    def write(self, file: str, content: bytes) -> None:
        """Make or replace a file, whole or not at all; WriteError if that cannot be."""

    def remove(self, file: str) -> None:
        """Remove a file, if it is there."""

    def has(self, file: str) -> bool:
        """Whether a file is there."""

    def names(self, folder: str) -> dict[str, float | None]:
        """The files in a folder, by name, and when each was written (seconds since 1970, if that is known)."""

    def put(self, made: Path, file: str) -> None:
        """Copy a file of this machine there."""

    def writer(self, folder: str) -> Any:
        """A context in which nobody else writes there: InUseError if somebody does. Empty where there are no locks."""


def place_of(where: str | Path) -> Place:
    """The folder of a path or a URL; nothing is made yet.

    Raises:
        ImportError: for a URL, where fsspec, or what it needs for this kind, is not installed.
        ValueError: for a URL of a kind that fsspec does not know.
    """
    text = str(where)
    if "://" not in text:
        return LocalPlace(Path(where))
    if text.startswith("file://"):
        return LocalPlace(Path(unquote(urlsplit(text).path)))
    if find_spec("fsspec") is None:
        raise ImportError(f"{text} is a URL, for which fsspec is needed: pip install 'elbowroom[remote]'")
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(text)
    except ValueError as error:
        raise ValueError(f"{text}: {error}; give a path, or a URL that fsspec knows") from error
    return RemotePlace(text.rstrip("/"), system, path.rstrip("/"))


@dataclass(frozen=True)
class LocalPlace:
    """A folder on a disk."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self, file: str) -> bytes:
        return read_bytes(self.path / file, memory())

    def read_part(self, file: str, start: int, count: int) -> bytes:
        with opened(self.path / file, 2**62) as stream:
            stream.seek(start)
            return stream.read(count)

    def write(self, file: str, content: bytes) -> None:
        check_no_link((self.path / file).parent)
        replace_file(self.path / file, content)

    def remove(self, file: str) -> None:
        (self.path / file).unlink(missing_ok=True)

    def has(self, file: str) -> bool:
        return (self.path / file).is_file()

    def names(self, folder: str) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        inside = self.path / folder
        for one in inside.iterdir() if inside.is_dir() else ():
            with suppress(FileNotFoundError):  # it was renamed meanwhile
                found[one.name] = one.stat().st_mtime
        return found

    def put(self, made: Path, file: str) -> None:
        with replacing(self.path / file) as path:
            shutil.copyfile(made, path)

    @contextmanager
    def writer(self, folder: str) -> Iterator[None]:
        with only_writer(self.path / folder, "output", folder=True):
            yield


@dataclass(frozen=True)
class RemotePlace:
    """A folder behind a URL.

    Attributes:
        name: the URL.
        system: fsspec's file system.
        path: of the folder in it.
    """

    name: str
    system: Any
    path: str

    def read(self, file: str) -> bytes:
        return bytes(self.system.cat_file(self._at(file)))

    def read_part(self, file: str, start: int, count: int) -> bytes:
        return bytes(self.system.cat_file(self._at(file), start=start, end=start + count))

    def write(self, file: str, content: bytes) -> None:
        try:
            self.system.makedirs(self._at(file).rsplit("/", 1)[0], exist_ok=True)
            self.system.pipe_file(self._at(file), content)
        except OSError as error:
            said = f"cannot write {self.name}/{file}: {error}; give another place"
            raise WriteError(error.errno or 0, said) from error

    def remove(self, file: str) -> None:
        with suppress(FileNotFoundError):
            self.system.rm_file(self._at(file))

    def has(self, file: str) -> bool:
        return bool(self.system.isfile(self._at(file)))

    def names(self, folder: str) -> dict[str, float | None]:
        self.system.invalidate_cache(self._at(folder))
        try:
            listed = self.system.ls(self._at(folder), detail=True)
        except FileNotFoundError:
            return {}
        return {one["name"].rsplit("/", 1)[-1]: _written(one) for one in listed if one["type"] == "file"}

    def put(self, made: Path, file: str) -> None:
        self.system.put_file(str(made), self._at(file))

    @contextmanager
    def writer(self, folder: str) -> Iterator[None]:
        yield

    def _at(self, file: str) -> str:
        return f"{self.path}/{file}"


def _written(listed: dict[str, Any]) -> float | None:
    """When a listed file was written, under one of the names that file systems have for it."""
    for name in ("LastModified", "last_modified", "mtime", "updated", "created"):
        when = listed.get(name)
        if isinstance(when, datetime):
            return when.timestamp()
        if isinstance(when, int | float):
            return float(when)
    return None
