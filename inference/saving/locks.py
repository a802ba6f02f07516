"""Locks on open files, which the system lets go of when their process ends, however it ends."""

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


def is_same(path: Path, descriptor: int) -> bool:
    """Whether the file that was opened is still the one of that name."""
    with suppress(OSError):
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    return False
