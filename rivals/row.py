"""A rival measured: fitted, weighed on held-out data, drawn from, and the seconds that took."""

import time
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from elbowroom.densities import HeldOut, mean_over_data
from elbowroom.densities.reported import Mean
from elbowroom.rivals.pictures import nearest_distance, roughness
from elbowroom.rivals.rival import Digits, Fitted, Rival, Sides

DRAWS = 200
"""Images that are drawn to be looked at."""
NOTHING = "no log p(x)"
"""What a row reports that has no likelihood."""
_REPORTED = {"exact": "exact", "lower": "lower bound", "upper": "upper bound", "none": "an estimate"}


@dataclass(frozen=True)
class Row:
    """What was measured of one rival, nats per datum.

    Attributes:
        name: in `RIVALS`.
        rival: its entry.
        reported: `"exact"`, `"both sides"`, `"lower bound"`, or `"no log p(x)"`.
        held_out: log p(x) of test data, or a lower bound on it, beside training data.
        room: how much higher log p(x) may be on average, with its error over the data looked at; None if nobody looked.
        num_looked: at how many data that was.
        num_flagged: test data whose value is flagged as not to be trusted.
        evaluate_ms, sample_ms: milliseconds for a datum and for a draw.
        fit_seconds: of training.
        num_parameters: that were fitted, those of a guide left out.
        roughness, distance: of draws, relative to held-out data's own (`pictures.py`).
        draws: the first of them, `[n, P]`.
    """

    name: str
    rival: Rival
    reported: str
    held_out: HeldOut
    room: Mean | None
    num_looked: int
    num_flagged: int
    evaluate_ms: float
    sample_ms: float
    fit_seconds: float
    num_parameters: int
    roughness: float
    distance: float
    draws: Tensor

    @property
    def interval(self) -> tuple[float, float]:
        """Of the mean log p(x) over data drawn anew: the lower side's 95 % lower end, the upper side's upper end."""
        low, high = self.held_out.nats.interval
        if self.room is not None:
            high = Mean(self.held_out.nats.value + self.room.value, self._joined).interval[1]
        return low, high

    @property
    def _joined(self) -> float:
        """The error of the upper side: of the lower one, and of the room."""
        error = 0.0 if self.room is None else self.room.stderr
        return float((self.held_out.nats.stderr**2 + error**2) ** 0.5)

    @property
    def overfit(self) -> Mean:
        """Training less test data, nats; NaN where there is no log p(x)."""
        return self.held_out.overfit or Mean(float("nan"), float("nan"))

    def record(self) -> dict[str, Any]:
        """As JSON."""
        nats, bits, overfit = self.held_out.nats, self.held_out.bits, self.overfit
        return {
            "name": self.name,
            "model": self.rival.label,
            "avoids_z": self.rival.avoids,
            "cannot": self.rival.cannot,
            "reported": self.reported,
            "log_p": nats.value,
            "log_p_stderr": nats.stderr,
            "room_above": None if self.room is None else self.room.value,
            "room_above_stderr": None if self.room is None else self.room.stderr,
            "looked_at_from_above": self.num_looked,
            "interval": list(self.interval),
            "bits_per_value": bits.value,
            "bits_per_value_stderr": bits.stderr,
            "train_less_test": overfit.value,
            "train_less_test_stderr": overfit.stderr,
            "data": len(self.held_out.test),
            "flagged": self.num_flagged,
            "evaluate_ms": self.evaluate_ms,
            "sample_ms": self.sample_ms,
            "fit_seconds": self.fit_seconds,
            "parameters": self.num_parameters,
            "roughness": self.roughness,
            "distance": self.distance,
        }


def measure(name: str, rival: Rival, data: Digits, seed: int = 0) -> Row:
    """Fit a rival and measure it."""
    begin = time.perf_counter()
    fitted = rival.fit(data, seed)
    fit_seconds = time.perf_counter() - begin
    fitted.log_p(data.test[:2]), fitted.sample(2, seed)  # what is done once is no datum's
    begin = time.perf_counter()
    sides = _sides(fitted, data.test)
    looked = 0 if sides.room is None else len(sides.room)
    evaluate_ms = 1e3 * (time.perf_counter() - begin) / len(data.test)
    train = fitted.log_p(data.some_train)
    begin = time.perf_counter()
    draws = fitted.sample(DRAWS, seed)
    sample_ms = 1e3 * (time.perf_counter() - begin) / len(draws)
    return Row(
        name=name,
        rival=rival,
        reported=_reported(sides),
        held_out=HeldOut(sides.log_p, train, data.test.shape[1]),
        room=None if sides.room is None else mean_over_data(sides.room),
        num_looked=looked,
        num_flagged=sum(map(bool, sides.log_p.flags)),
        evaluate_ms=evaluate_ms,
        sample_ms=sample_ms,
        fit_seconds=fit_seconds,
        num_parameters=fitted.num_parameters,
        roughness=roughness(draws, data.image_shape) / roughness(data.test, data.image_shape),
        distance=nearest_distance(draws, data.train) / nearest_distance(data.test, data.train),
        draws=draws[:16],
    )


def _sides(fitted: Fitted, x: Tensor) -> Sides:
    return Sides(fitted.log_p(x)) if fitted.both_sides is None else fitted.both_sides(x)


def _reported(sides: Sides) -> str:
    if not bool(sides.log_p.value.isfinite().any()):
        return NOTHING
    return "both sides" if sides.room is not None else _REPORTED[sides.log_p.bound]
