"""Progress bars, made and told in one way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

Tick = Callable[[int], object]
"""Called with the number of units of work that were done since the last call."""


class Bar:
    """A `Tick` that is seen, and can say more."""

    def __init__(self, bar: tqdm) -> None:
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


@contextmanager
def progress_bar(total: int, what: str, unit: str, show: bool, done: int = 0) -> Iterator[Bar]:
    """A bar that appears after two seconds and goes away when the work ends.

    Args:
        total: units of work.
        what: is done; the bar's label.
        unit: name of one unit.
        show: whether there is a bar; without one, ticks do nothing.
        done: units that were done before.
    """
    with tqdm(total=total, initial=done, desc=what, unit=unit, delay=2, disable=not show, leave=False) as bar:
        yield Bar(bar)


def silent(done: int = 1) -> None:
    """The tick of work whose progress nobody sees."""
