"""SIGTERM as an exception: a worker that is told to stop takes back the attempt that it was at.

torchrun stops all workers when one dies, and Slurm those whose time is over: that is no fault of their chunks.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 128 + signal.SIGTERM


@contextmanager
def softly() -> Iterator[None]:
    """Make SIGTERM raise SystemExit in this block, where nobody else handles it."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(EXIT_CODE)
