"""The time that an audit has."""

import time


class Clock:
    """Seconds left of a budget, and what each part has taken.

    Args:
        budget: seconds of wall time, from now on.
        spent: part -> seconds of earlier calls on the same state.
    """

    def __init__(self, budget: float, spent: dict[str, float] | None = None) -> None:
        self.end = time.perf_counter() + budget
        self.budget = budget
        self.cost: dict[str, float] = dict(spent or {})

    @property
    def left(self) -> float:
        """Seconds left; negative when overrun."""
        return self.end - time.perf_counter()

    def charge(self, part: str, begin: float) -> None:
        """Write the time since `begin` (of `time.perf_counter`) down to a part."""
        self.cost[part] = self.cost.get(part, 0.0) + time.perf_counter() - begin
