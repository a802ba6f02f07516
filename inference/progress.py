"""Progress, made and told in one way: a bar for who watches, a forecast and a line a minute for a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from tqdm.std import tqdm

Tick = Callable[[int], object]
"""Called with the number of units of work that were done since the last call."""

_MINUTE = 60.0
_SOON, _WORTH = 1.0, 10.0  # seconds after which a log is told how long it will take, and from which on that is worth it


class Shown(Protocol):
    """What a bar is shown by: tqdm's, or lines."""

    n: Any

    def update(self, n: int = 1) -> Any:
        """So many more units are done."""

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> Any:
        """Show a text behind."""


class Bar:
    """A `Tick` that is seen, and can say more."""

    def __init__(self, bar: Shown) -> None:
        self._bar = bar

    def __call__(self, done: int = 1) -> None:
        """So many more units are done."""
        self._bar.update(done)

    def reach(self, done: int) -> None:
        """So many units are done in all."""
        # Not refresh(): that shows a bar before its delay is over, and nothing wipes it off at the end.
        self._bar.update(done - self._bar.n)

    def note(self, text: str) -> None:
        """Show a text behind the bar when it moves next."""
        self._bar.set_postfix_str(text, refresh=False)


class Lines:
    """A line a minute on standard error, where a bar would be a thousand; after a second one that forecasts the rest.

    `fit: 417 of 1000 steps, about 4 min more`
    """

    def __init__(self, total: int, what: str, unit: str, done: int) -> None:
        self.total, self.what, self.unit, self.n, self.text = total, what, unit, done, ""
        self.first, self.begin = done, time.monotonic()
        self.said, self.forecast, self.warm = self.begin, False, False

    def update(self, n: int = 1) -> None:
        """Count, and say so if the last line is a minute old."""
        self.n += n
        now = time.monotonic()
        if not self.warm:  # the first of it says nothing of the rest: what is made once was made in it
            self.warm = True
            if now - self.said < _MINUTE:
                self.first, self.begin = self.n, now
                return
        soon = not self.forecast and now - self.begin >= _SOON
        if soon or now - self.said >= _MINUTE:
            self.forecast = True
            if soon and self._left(now - self.begin) < _WORTH:
                return
            self.said = now
            print(self._line(now - self.begin), file=sys.stderr, flush=True)

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """What the next line ends with."""
        self.text = s

    def _line(self, seconds: float) -> str:
        more = self._left(seconds)
        left = f", about {_lasting(more)} more" if more > 0 else ""
        units = {"datum": "data"}.get(self.unit, f"{self.unit}s")
        return f"{self.what}: {self.n} of {self.total} {units}{left}{f'; {self.text}' if self.text else ''}"

    def _left(self, seconds: float) -> float:
        """Seconds that the rest will take, as the work has gone so far; 0 if nothing has been done."""
        done = self.n - self.first
        return seconds * (self.total - self.n) / done if done > 0 else 0.0


@contextmanager
def progress_bar(total: int, what: str, unit: str, show: bool, done: int = 0) -> Iterator[Bar]:
    """A bar that appears after two seconds and goes away when the work ends; without a terminal, a forecast and lines.

    Args:
        total: units of work.
        what: is done; the bar's label.
        unit: name of one unit.
        show: whether there is a bar; without one, ticks do nothing.
        done: units that were done before.
    """
    if show and not _is_watched():
        yield Bar(Lines(total, what, unit, done))
        return
    with _kind()(total=total, initial=done, desc=what, unit=unit, delay=2, disable=not show, leave=False) as bar:
        yield Bar(bar)


def silent(done: int = 1) -> None:
    """The tick of work whose progress nobody sees."""


def _is_watched() -> bool:
    """Whether a bar is seen: in a terminal, and in a notebook."""
    return sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})


def _kind() -> type[tqdm]:
    """tqdm's bar of widgets where there are any; elsewhere it would warn that there are none."""
    if _in_notebook() and find_spec("ipywidgets") is not None:
        return import_module("tqdm.notebook").tqdm
    return tqdm


def _lasting(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
