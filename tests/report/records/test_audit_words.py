"""Numbers of an audit as text: digits that the interval is worth, open ends, sizes that say nothing."""

import math

import pytest

from elbowroom.inference.audit import Number
from elbowroom.report.records.words import amount, count, interval_text, seconds_text, share_text, short, value_text

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "told", "interval"),
    [
        (1.06684, 1.0635, 1.0701, "nats", "1.0668 nats", "1.0635 to 1.0701 nats"),
        (-3.0, -5.0, -1.0, "nats", "−3.0 nats", "−5.0 to −1.0 nats"),
        (0.9, 0.7, 1.0, "share", "90 %", "70 to 100 %"),
        (-22.855, -INF, -22.8, "nats", "−22.855 nats", "at most −22.800 nats"),
        (3.0, 2.0, INF, "nats", "3.0 nats", "at least 2.0 nats"),
        (3.0, -INF, INF, "", "3", "unknown"),
        (3.5, 2.5, 4.5, "", "3.5", "2.5 to 4.5"),
        (-1200, -1300, -1100, "data", "−1,200 data", "−1,300 to −1,100 data"),
        (12, 12, 12, "data", "12 data", "counted"),
        (1.0, 0.999999, 1.000001, "nats", "1.0000 nats", "no wider than shown"),
        (1e-9, NAN, NAN, "p", "1e-09", "unknown"),
        (NAN, NAN, NAN, "nats", "–", "unknown"),
    ],
)
def test_numbers(value: float, low: float, high: float, unit: str, told: str, interval: str) -> None:
    number = Number(value, low, high, unit, "")
    assert (value_text(number), interval_text(number)) == (told, interval)


def test_nats_say_no_digit_too_many() -> None:
    assert amount(1.23456, 0.012) == "1.235 ± 0.012"
    assert amount(-1.5, 0.0) == "−1.5000" and amount(0.5, 0.1, signed=True) == "+0.50 ± 0.10"
    assert amount(4.1e17, 0.01) == "4.1e+17" and amount(-INF, NAN) == "−∞" and amount(NAN, 1.0) == "–"
    assert amount(2.0, INF) == "2 ± ∞"


def test_the_rest() -> None:
    assert (share_text(0.5), share_text(0.055), share_text(1.0), share_text(NAN)) == ("50 %", "5.5 %", "100 %", "–")
    assert (seconds_text(0.42), seconds_text(65), seconds_text(185)) == ("0.42 s", "65 s", "3 min 05 s")
    assert (count(1), count(1200)) == ("1 datum", "1,200 data")
    assert (short(3e-6), short(-0.25, 2), short(1e9)) == ("3e-06", "−0.25", "1e+09")
