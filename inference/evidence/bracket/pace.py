"""How much of a step the budget has room for, by what steps of its kind have cost so far."""

from collections.abc import Iterator
from contextlib import contextmanager

from elbowroom.inference.evaluation.clock import Clock, Spent
from elbowroom.inference.evidence.bracket.forecast import Forecast
from elbowroom.inference.evidence.bracket.sizes import GROWTH

UNSURE = 3.0
"""A step of which none has run may cost so many times its forecast."""

_STEADY = dict.fromkeys(("population", "population weights", "refined", "refined weights"), 1.5)
"""… these so many times: their evaluations are nearly a fixed number."""

_SMALL = 0.1  # share of what is left
_FASTER = 4.0  # blocks grow so many times at most from one that has been measured
_GAIN = 1.25  # times the draws of the round before, without which a round is not worth its while


class Pace:
    """A clock with a forecast that learns: the cost of a step is its forecast times what the last one was out by."""

    def __init__(self, clock: Clock, forecast: Forecast) -> None:
        self.clock, self.forecast = clock, forecast
        self._factor: dict[str, float] = {}
        self._largest: dict[str, float] = {}  # the largest forecast of the steps that have run

    def part(self, amount: float) -> "Pace":
        """A pace with a budget of its own, of the same kind, that shares what has been learned."""
        part = Pace(Clock(self.clock.part(amount)), self.forecast)
        part._factor, part._largest = self._factor, self._largest
        return part

    def cost(self, step: str, num_data: int, effort: float = 0.0) -> float:
        """What a step should cost on so many data."""
        return self._factor.get(step, 1.0) * self.forecast.cost(step, num_data, GROWTH**effort)

    def lend(self, seen: str, unseen: str) -> None:
        """Take a step that has not run to be as much dearer than its forecast as one that has."""
        self._factor[unseen] = self._factor[seen]

    def has_run(self, step: str) -> bool:
        """Whether what a step costs has been seen."""
        return step in self._factor

    def is_small(self, step: str, num_data: int) -> bool:
        """Whether a step of unknown cost takes so little of what is left that nothing is risked."""
        return UNSURE * self.cost(step, num_data) <= _SMALL * self.clock.left

    def has_room(self, step: str, num_data: int, effort: float = 0.0, share: float = 1.0) -> bool:
        """Whether all of a step has room in a share of what is left."""
        return self._fits(step, num_data, effort, share)

    def affordable(self, step: str, effort: float, most: int, share: float = 1.0) -> int:
        """The largest number of data, up to `most`, whose step has room in a share of what is left; 0 if not one."""
        if self._fits(step, most, effort, share):
            return most
        fits, too_many = 0, most
        while too_many - fits > 1:
            middle = (fits + too_many) // 2
            fits, too_many = (middle, too_many) if self._fits(step, middle, effort, share) else (fits, middle)
        return fits

    def effort_within(self, step: str, num_data: int, effort: float, share: float = 1.0) -> float | None:
        """The largest effort below `effort` for which the step has room; None if none is worth its while.

        Below the first round's it is tried at a quarter, on a forecast that may be too high: the clock stops it.
        """
        shorter = effort - 0.25
        least = effort - 1 if effort < 1 else effort - 0.84  # 4^(1 − 0.84) = 1.25 times the round before
        while shorter >= least:
            if self._fits(step, num_data, shorter, share):
                return shorter
            shorter -= 0.25
        optimistic = self.cost(step, num_data, least) / (1.0 if self.has_run(step) else UNSURE)
        return least if effort < 1 and optimistic <= self.clock.left else None

    def _fits(self, step: str, num_data: int, effort: float, share: float) -> bool:
        cost, room = self.cost(step, num_data, effort), share * self.clock.left
        known = self.forecast.cost(step, num_data, GROWTH**effort) <= _FASTER * self._largest.get(step, 0.0)
        sure = known or (self.clock.counts and step in self.forecast.known)
        return cost <= room if sure else _STEADY.get(step, UNSURE) * cost <= room

    @contextmanager
    def timed(self, step: str, num_data: int, effort: float, most: float | None = None) -> Iterator[None]:
        """Run a step within the budget, or within `most` of what is left, and learn what it costs.

        Raises:
            Spent: if there was no room for all of it; what it has cost by then is learned, too.
        """
        forecast, begin = self.forecast.cost(step, num_data, GROWTH**effort), self.clock.spent
        try:
            with self.clock.until(most):
                yield
        except Spent:
            dearer = (self.clock.spent - begin) / forecast
            self._factor[step] = max(self._factor.get(step, 1.0), dearer)
            raise
        self._factor[step] = (self.clock.spent - begin) / forecast
        self._largest[step] = max(self._largest.get(step, 0.0), forecast)
