"""Slopes in log-log against power laws that are known, and how seconds and bytes are taken."""

import numpy as np
import pytest
import torch

from benchmarks.clock import forget_peak, now, peak_bytes, timed
from benchmarks.growth import CURVES, METHODS, Size, point
from benchmarks.slopes import growth, slope

X = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7]


def test_a_power_law_has_its_exponent() -> None:
    found = slope(X, [3 * x**1.5 for x in X])
    assert found.value == pytest.approx(1.5) and found.half == pytest.approx(0.0, abs=1e-6)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Of 1000 noisy laws on six points 95 % within 4 standard errors; normal quantiles would cover 88 %."""
    noise = np.random.default_rng(0).normal(0, 0.3, (1000, len(X)))
    found = [slope(X, list(0.01 * np.array(X) ** 0.8 * np.exp(row))) for row in noise]
    share = np.mean([abs(one.value - 0.8) <= one.half for one in found])
    assert abs(share - 0.95) < 4 * (0.95 * 0.05 / 1000) ** 0.5


@pytest.mark.parametrize(("x", "y", "word"), [([1, 2], [1, 2], "three points"), ([1, 2, 3], [0, 1, 2], "above 0")])
def test_no_slope_without_points_or_logarithms(x: list[float], y: list[float], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        slope(x, y)


def test_constant_costs_are_told_apart_by_the_upper_half() -> None:
    told = growth("data", X, [1e3 + x for x in X], least=0.0)
    assert told.startswith("data^0.8") and "; from 100,000 on data^1.00 (0.9" in told


def test_points_that_a_clock_cannot_see_are_left_out() -> None:
    seconds = [1e-6, 1e-6, 1e-6, 1.0, 10.0, 100.0]
    assert growth("data", X, seconds, least=1e-3) == "data^1.00 (1.00 … 1.00)"
    assert growth("data", X, seconds, least=5.0) == "too little to tell"


def test_a_card_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    card = torch.device("cuda:1")
    assert timed(lambda: len(waited), card).result == 1 and waited == [card, card]
    now()
    assert len(waited) == 2


def test_the_peak_is_that_of_the_call() -> None:
    before = forget_peak()
    torch.ones(2**23, dtype=torch.float64).sum()  # more than the C library takes from memory that it keeps
    assert 0.9 < (peak_bytes() - before) / 2**26 < 1.5
    assert forget_peak() < before + 2**24


def test_every_curve_is_of_a_method_and_an_axis() -> None:
    assert all(curve.method in METHODS and hasattr(curve.fixed, curve.axis) for curve in CURVES)
    seconds, taken = point("importance", Size(data=3, samples=10), torch.device("cpu"), 1)
    assert seconds > 0 and taken >= 0
