"""Programs are run by one thread at a time: Pyro's handlers, parameter store and settings belong to the process.

A thread that finds another at work waits for it. What a thread calls from inside, a callback of training say, goes on.
Replays of records run no program, and do not wait. Programs that a thread runs by Pyro itself, outside of elbowroom,
are not known here.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCKS = [threading.RLock()]


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Inside, no other thread runs programs."""
    with _LOCKS[-1]:
        yield


def _in_child() -> None:
    """A process that was forked has no other threads: what they held there nobody gives back."""
    _LOCKS[:] = [threading.RLock()]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
