"""How fast something grows: the slope of log y by log x, with its 95 % interval (Student's t over the points)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import linregress
from scipy.stats import t as student


class Slope(NamedTuple):
    """An exponent, y ∝ x^value, and half of the width of its interval."""

    value: float
    half: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.value - self.half:.2f} … {self.value + self.half:.2f})"


def slope(x: Sequence[float], y: Sequence[float]) -> Slope:
    """Least squares of log y on log x.

    Raises:
        ValueError: for fewer than three points, of which no interval is known, or numbers that have no logarithm.
    """
    if len(x) < 3:
        raise ValueError(f"a slope with an interval needs three points or more, got {len(x)}")
    if min(*x, *y) <= 0:
        raise ValueError("a slope of logarithms needs numbers above 0")
    line = linregress(np.log(x), np.log(y))
    return Slope(float(line.slope), float(student.ppf(0.975, len(x) - 2) * line.stderr))


def growth(axis: str, x: Sequence[float], y: Sequence[float], least: float) -> str:
    """In words: how y grows over all of x, and over its upper half, where constant costs count least.

    Points below `least`, where a clock or the memory's pages say nothing, are left out.
    """
    kept = [(a, b) for a, b in zip(x, y, strict=True) if b >= least]
    if len(kept) < 3:
        return "too little to tell"
    told = f"{axis}^{slope(*zip(*kept, strict=True))}"
    upper = kept[len(kept) // 2 :]
    if 3 <= len(upper) < len(kept):
        told += f"; from {upper[0][0]:,g} on {axis}^{slope(*zip(*upper, strict=True))}"
    return told
