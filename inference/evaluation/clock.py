"""A budget, in seconds or in evaluations, and what is left of it.

Seconds are those of the wall. Evaluations are counted (see `programs/evaluations.py`): what a budget of them allows is
decided by counts alone, so two calls with the same arguments give the same numbers, whatever else the machine does.
"""

import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from elbowroom.entrances import check_fields
from elbowroom.entrances.said import said
from elbowroom.inference.programs import evaluations


@dataclass(frozen=True)
class Evaluations:
    """A budget that counts evaluations in place of seconds, all data of a call together.

    An evaluation is one run of model or guide at one (sample, datum) point; with its gradient it counts as three.
    `bracket(target, budget=Evaluations(2e5))` is `bracket(target, budget="2e5 evaluations")`. Another number of threads
    (`torch.set_num_threads`) or another processor adds up in another order, and so moves the last digits.
    """

    number: float

    def __post_init__(self) -> None:
        check_fields(self)

    def __str__(self) -> str:
        return f"{self.number:g} evaluations"


Budget = float | str | Evaluations
"""Seconds, or a number of evaluations, which may be written `"2e5 evaluations"`."""


def budget_words(budget: Budget) -> str:
    """A budget with its unit."""
    found = read_budget(budget)
    return str(found) if isinstance(found, Evaluations) else f"{found:g} s"


_WRITTEN = re.compile(r"\s*([-+.\deE_,]+)\s*(s|seconds|evaluations)?\s*")


def read_budget(budget: Budget) -> float | Evaluations:
    """The budget as seconds or `Evaluations`.

    Raises:
        ValueError: if it is not positive or cannot be read.
        TypeError: if it is neither of these.
    """
    found = _parsed(budget) if isinstance(budget, str) else budget
    if isinstance(found, bool) or not isinstance(found, int | float | Evaluations):
        raise TypeError(f"budget must be seconds, a text such as '2e5 evaluations' or Evaluations, got {said(budget)}")
    if not isinstance(found, Evaluations) and not found > 0:
        raise ValueError(f"budget must be positive, got {budget}; give seconds, or a text such as '2e5 evaluations'")
    return found


def _parsed(text: str) -> float | Evaluations:
    match = _WRITTEN.fullmatch(text)
    try:
        number = float(match[1].replace(",", "")) if match else math.nan
    except ValueError:
        match = None
    if match is None:
        raise ValueError(f"budget must be seconds, or a text such as '2e5 evaluations', got {text!r}")
    return Evaluations(number) if match[2] == "evaluations" and number > 0 else number


class Spent(Exception):
    """Raised before an evaluation for which the budget of `clock` has no room."""

    def __init__(self, clock: "Clock") -> None:
        super().__init__(f"the budget of {clock.says(clock.budget)} is spent")
        self.clock = clock


class Clock:
    """What is left of a budget that begins now.

    Attributes:
        budget: in seconds or evaluations.
        counts: whether it counts evaluations.
        cost: part -> seconds that it has taken, earlier calls included.
    """

    def __init__(self, budget: Budget) -> None:
        given = read_budget(budget)
        self.counts = isinstance(given, Evaluations)
        self.budget = given.number if isinstance(given, Evaluations) else float(given)
        self.cost: dict[str, float] = {}
        self._begin = self.now()

    @property
    def unit(self) -> str:
        """`"s"` or `"evaluations"`."""
        return "evaluations" if self.counts else "s"

    def now(self) -> float:
        """The time in the budget's unit, since nobody knows when."""
        return float(evaluations.total()) if self.counts else time.perf_counter()

    @property
    def spent(self) -> float:
        """How much of the budget was used, in its unit."""
        return self.now() - self._begin

    @property
    def left(self) -> float:
        """How much of it is left; negative when overrun."""
        return self.budget - self.spent

    def says(self, amount: float) -> str:
        """An amount in words."""
        return f"{amount:.2g} evaluations" if self.counts else f"{amount:.3g} s"

    def part(self, amount: float) -> Budget:
        """A budget of the same kind."""
        return Evaluations(amount) if self.counts else amount

    @contextmanager
    def until(self, amount: float | None = None) -> Iterator[None]:
        """Inside, no evaluation is begun beyond so much more than was spent so far; by default beyond the budget.

        Raises:
            Spent: of this clock.
        """
        end = self._begin + self.budget if amount is None else self.now() + amount

        def check(count: int) -> None:
            if self.now() + (count if self.counts else 0) > end:
                raise Spent(self)

        with evaluations.asking(check):
            yield

    @contextmanager
    def forgiving(self) -> Iterator[None]:
        """Inside, work that finds the budget spent is left as it is, and what comes behind goes on."""
        try:
            yield
        except Spent as spent:
            if spent.clock is not self:
                raise

    def spend(self, part: str, seconds: float) -> None:
        """Write seconds down to a part."""
        self.cost[part] = self.cost.get(part, 0.0) + seconds

    def charge(self, part: str, begin: float) -> float:
        """Write the seconds since `begin` (of `time.perf_counter`) down to a part, and return them."""
        seconds = time.perf_counter() - begin
        self.spend(part, seconds)
        return seconds
