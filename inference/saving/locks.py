"""Locks on open files, which the system lets go of when their process ends, however it ends.

They need a POSIX system. Elsewhere (Windows) nothing is locked, and whoever asks is told so. All that systems do in
different ways for locks is here.
"""

import os
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""Flag of `os.open`: a link is refused, not followed."""


def hold(descriptor: int) -> bool | None:
    """Lock an open file, or find it locked (False); None where the system or the file system has no such locks.

    Two openings of one file exclude each other in one process, too.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def write_note(descriptor: int, note: bytes) -> None:
    """Put a note into a file that is held, in the place of what is in it."""
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)  # not pwrite, which Windows lacks
    os.write(descriptor, note)


def read_note(descriptor: int) -> bytes:
    """The note in a file that somebody holds; its first kilobyte."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, 1024)


def is_same(path: Path, descriptor: int) -> bool:
    """Whether the file that was opened is still the one of that name."""
    with suppress(OSError):
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    return False
