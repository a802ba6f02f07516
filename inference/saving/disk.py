"""What a disk refuses, in words: which file, how many bytes it needs and how many are free, and what to do."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_ELSEWHERE = "give a place on another disk"
_REMEDIES = {
    errno.ENOSPC: f"free some space, or {_ELSEWHERE}",
    errno.EDQUOT: f"remove files of yours, or {_ELSEWHERE}",
    errno.EFBIG: f"raise the limit on the size of files (ulimit -f), or {_ELSEWHERE}",
    errno.EROFS: "give a place that is not read-only",
    errno.EACCES: "mend its permissions, or give another place",
    errno.EPERM: "mend its permissions, or give another place",
    errno.EIO: f"check the disk, or {_ELSEWHERE}",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "remove that link, or give the place that it leads to",
    errno.EISDIR: "remove or rename that directory, or give another place",
    errno.ENOENT: "somebody has removed its directory: make it again",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_HDF5 = re.compile(r"errno = (\d+)")
_TRIED = 4096  # bytes: a full disk takes empty files


class WriteError(OSError):
    """A file that cannot be written; `errno` is the system's, the message names the file and says what to do."""

    def __str__(self) -> str:
        return str(self.strerror)


@contextmanager
def writing(path: Path, needed: int | Path | None = None) -> Iterator[None]:
    """Turn what the system says into a `WriteError` about `path`.

    Args:
        path: what is written.
        needed: its bytes, or the temporary file in which as many as could be are by now, if that is known.
    """
    try:
        yield
    except WriteError:
        raise
    except (OSError, RuntimeError) as error:  # RuntimeError: of HDF5, which closes a file on a full disk
        number = getattr(error, "errno", None)
        if number is None and (said := _OF_HDF5.search(str(error))):
            number = int(said[1])
        if number is None and not isinstance(error, OSError):
            raise
        raise _in_words(number, str(error) if number is None else os.strerror(number), path, needed) from error


def try_writing(folder: Path, names: Sequence[str]) -> None:
    """Find out now whether these files can be written into a folder, which need not be there; nothing is left behind.

    Raises:
        WriteError: as writing them would.
    """
    for name in names:
        with writing(folder / name):
            _check_length(folder / name)
            if os.path.isdir(folder / name) and not os.path.islink(folder / name):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with writing(folder / names[0], _TRIED):
        if (blocking := _blocking(folder)) is not None:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(blocking))
        with tempfile.TemporaryFile(dir=_nearest(folder)) as file:  # without a name, where the system can
            file.write(b"\0" * _TRIED)
            file.flush()
            os.fsync(file.fileno())


def _in_words(number: int | None, said: str, path: Path, needed: int | Path | None) -> WriteError:
    remedy = _REMEDIES.get(number or 0, "give another place")
    if (blocking := _blocking(path.parent)) is not None:
        said, remedy = f"{blocking} is no directory", "remove or rename it, or give another place"
    elif number in _FULL:
        said += f" ({_bytes(path, needed)})"
    return WriteError(number or errno.EIO, f"cannot write {path}: {said}; {remedy}")


def _bytes(path: Path, needed: int | Path | None) -> str:
    place, wanted = _nearest(path.parent), ""
    if isinstance(needed, int):
        wanted = f"it needs {needed:,} bytes, "
    elif needed is not None and os.path.exists(needed):
        wanted = f"it needs more than {os.path.getsize(needed):,} bytes, "
    free = f"{shutil.disk_usage(place).free:,} bytes are free"
    if hasattr(os, "statvfs") and (table := os.statvfs(place)).f_files and not table.f_favail:
        free += ", but the disk can hold no more files"
    return wanted + free


def _nearest(folder: Path) -> Path:
    """The folder, or the innermost one around it that is there."""
    return next((place for place in (folder, *folder.parents) if os.path.exists(place)), Path("."))


def _blocking(folder: Path) -> Path | None:
    """What is no directory, nor a link to one, on the way to a folder."""
    return next((p for p in (folder, *folder.parents) if os.path.lexists(p) and not os.path.isdir(p)), None)


def _check_length(path: Path) -> None:
    """A system looks at a name only when the folder around it is there."""
    most = os.pathconf(_nearest(path.parent), "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    if max(len(os.fsencode(part)) for part in path.parts) > most:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
