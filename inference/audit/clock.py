"""The time that an audit has, and what each part of it has taken."""

import time


class Clock:
    """Seconds left of a budget that begins now; `cost` is what each part has taken, earlier calls included."""

    def __init__(self, budget: float) -> None:
        self._end = time.perf_counter() + budget
        self.cost: dict[str, float] = {}

    @property
    def left(self) -> float:
        """Seconds left; negative when overrun."""
        return self._end - time.perf_counter()

    def spend(self, part: str, seconds: float) -> None:
        """Write seconds down to a part."""
        self.cost[part] = self.cost.get(part, 0.0) + seconds

    def charge(self, part: str, begin: float) -> float:
        """Write the time since `begin` (of `time.perf_counter`) down to a part, and return it."""
        seconds = time.perf_counter() - begin
        self.spend(part, seconds)
        return seconds
