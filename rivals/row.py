"""A rival measured: fitted, weighed on held-out data, drawn from, and the seconds that took."""

import math
import time
from dataclasses import dataclass, replace
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
        raised: how much higher log p(x) is on average by a closer look, from below, with its error over the data that
            were looked at; 0 of what is exact.
        apart: how far the upper value is above that; None if there is none.
        num_looked: how many data were looked at.
        num_flagged: data whose value is flagged as not to be trusted: of those that were looked at, or else of all.
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
    raised: Mean
    apart: Mean | None
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
    def log_p(self) -> Mean:
        """log p(x) of test data, from below where it is not exact, with its error over data drawn anew."""
        nats = self.held_out.nats
        return Mean(nats.value + self.raised.value, math.hypot(nats.stderr, self.raised.stderr))

    @property
    def bits(self) -> Mean:
        """Per value."""
        return self.log_p.per_value(self.held_out.data_dim)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the mean log p(x) over data drawn anew: from the lower side's lower end to the upper side's upper."""
        above = self.apart or Mean(0.0, 0.0)
        upper = Mean(self.log_p.value + above.value, math.hypot(self.log_p.stderr, above.stderr))
        return self.log_p.interval[0], upper.interval[1]

    @property
    def overfit(self) -> Mean:
        """Training less test data, nats; NaN where there is no log p(x)."""
        return self.held_out.overfit or Mean(float("nan"), float("nan"))

    def record(self) -> dict[str, Any]:
        """As JSON."""
        nats, bits, overfit = self.log_p, self.bits, self.overfit
        return {
            "name": self.name,
            "model": self.rival.label,
            "avoids_z": self.rival.avoids,
            "cannot": self.rival.cannot,
            "reported": self.reported,
            "log_p": nats.value,
            "log_p_stderr": nats.stderr,
            "raised": self.raised.value,
            "sides_apart": None if self.apart is None else self.apart.value,
            "sides_apart_stderr": None if self.apart is None else self.apart.stderr,
            "looked_at": self.num_looked,
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
        raised=Mean(0.0, 0.0) if sides.lower is None else mean_over_data(sides.lower),
        apart=_apart(sides),
        num_looked=0 if sides.lower is None else len(sides.lower),
        num_flagged=sum(map(bool, (sides.upper or sides.log_p).flags)),
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


def _apart(sides: Sides) -> Mean | None:
    if sides.lower is None or sides.upper is None:
        return None
    return mean_over_data(replace(sides.upper, value=sides.upper.value - sides.lower.value))


def _reported(sides: Sides) -> str:
    if not bool(sides.log_p.value.isfinite().any()):
        return NOTHING
    return "both sides" if sides.upper is not None else _REPORTED[sides.log_p.bound]
