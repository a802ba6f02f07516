"""One writer at a time: a lock on a folder or a file, which dies with its process."""

import json
import logging
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from errno import EWOULDBLOCK
from pathlib import Path
from typing import Any

from elbowroom.entrances.visible import one_line
from elbowroom.inference.saving.disk import WriteError, writing
from elbowroom.inference.saving.leftovers import sweep
from elbowroom.inference.saving.locks import NO_LINK, hold, is_same, read_note, write_note

LOCK = ".lock"
"""The lock's name in a folder; the lock of a file lies beside it, as `.<name>.lock`."""

logger = logging.getLogger("elbowroom")

_OURS = ("*.json", "*.jsonl", "*.safetensors")  # what is written into a folder under its lock
_held: set[int] = set()  # descriptors of this process's locks
_TRIES = 1000  # where owners come and go
_PATIENCE = 0.5  # seconds in which a writer that has just begun says who it is


class InUseError(WriteError):
    """Another process or thread writes there; the message says which, where, since when, and what to do."""


@contextmanager
def only_writer(place: Path | None, argument: str, *, folder: bool) -> Iterator[None]:
    """Be the one that writes into a folder, or replaces a file, for as long as the block lasts.

    The lock is `flock` on a file of its own: the system lets go of it when the process ends, however it ends, so what
    a killed one has left is taken over, and its temporary files are swept. Who holds it stands in that file. It is
    removed at the end. Readers need no lock: they find whole files (durable.py). Forked children do not hold their
    parent's locks. Where the system or the file system has no such locks (Windows, some network disks), the log says
    that nothing keeps others out.

    Args:
        place: the folder, which is made if it is not there, or the file; None: nothing is written.
        argument: by which the user has named it.
        folder: whether it is one.

    Raises:
        InUseError: somebody else is the writer, be it another thread of this process.
        WriteError: a lock cannot be written there.
    """
    if place is None:
        yield
        return
    lock = place / LOCK if folder else place.parent / f".{place.name}{LOCK}"
    with writing(lock):
        made = not lock.parent.exists()
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _taken(lock, f"{argument}={str(place)!r}")
    try:
        sweep(lock.parent, *(_OURS if folder else (place.name,)))
        yield
    finally:
        _release(lock, descriptor)
        if made:  # and nothing was written
            with suppress(OSError):
                lock.parent.rmdir()


def _taken(lock: Path, what: str) -> int:
    """The locked file, with our name in it."""
    for _ in range(_TRIES):
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        try:
            held = hold(descriptor)
            if held is False:
                raise _in_use(what, descriptor)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise WriteError(EWOULDBLOCK, f"{lock} is no file of elbowroom's; remove it, or give another place")
            if is_same(lock, descriptor):
                if held is None:
                    logger.warning(
                        "%s: no locks are to be had there, so nothing keeps a second writer out", one_line(what)
                    )
                _held.add(descriptor)
                _sign(lock, descriptor)
                return descriptor
        except BaseException:
            _held.discard(descriptor)
            os.close(descriptor)
            raise
        os.close(descriptor)  # its owner has removed it meanwhile
    raise WriteError(EWOULDBLOCK, f"{what} cannot be locked: {lock} is another file each time; give another place")


def _sign(lock: Path, descriptor: int) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    said = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n"
    try:
        write_note(descriptor, said.encode())
    except OSError:  # a full disk
        lock.unlink()
        raise


def _in_use(what: str, descriptor: int) -> InUseError:
    holder = _holder(descriptor)
    host, pid = holder.get("host"), holder.get("pid")
    if host == socket.gethostname() and pid == os.getpid():
        who, stop = f"this process ({pid}), in another call,", "wait until that has ended"
    elif holder:
        who, stop = f"process {pid} on {host}", f"wait until it has ended, stop it (kill {pid})"
    else:
        who, stop = "another process, which does not say its name,", "wait until it has ended"
    since = f" since {holder['since']}" if "since" in holder else ""
    return InUseError(EWOULDBLOCK, f"{what} is in use: {who} writes there{since}; {stop}, or give another place")


def _holder(descriptor: int) -> dict[str, Any]:
    """What the holder says of itself; nothing if that cannot be read."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with suppress(ValueError, TypeError, KeyError, OSError):
            said = json.loads(read_note(descriptor))
            return {"pid": int(said["pid"]), "host": str(said["host"]), "since": str(said["since"])}
        time.sleep(0.01)
    return {}


def _release(lock: Path, descriptor: int) -> None:
    if descriptor not in _held:  # in a forked child
        return
    _held.remove(descriptor)
    with suppress(OSError):
        if is_same(lock, descriptor):
            lock.unlink()
    os.close(descriptor)


def _forget() -> None:
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
