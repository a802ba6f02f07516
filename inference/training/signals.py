"""SIGINT and SIGTERM while training: finish the step, save, stop."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class TrainingInterrupted(RuntimeError):
    """Training was stopped by a signal after a whole step; with a run directory that state was saved.

    Attributes:
        signum: the signal.
        exit_code: 128 + signum, the code a process should exit with: 130 for SIGINT, 143 for SIGTERM.
    """

    def __init__(self, signum: int, where: str) -> None:
        super().__init__(f"training was stopped by {signal.Signals(signum).name} {where}")
        self.signum, self.exit_code = signum, 128 + signum


class StopRequest:
    """While entered, SIGINT and SIGTERM are noted in `signum`; a second one raises KeyboardInterrupt at once.

    Handlers are installed in the main thread only (Python allows no other) and put back on exit.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._previous[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum
