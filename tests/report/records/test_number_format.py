"""Values with errors: matching digits, by the Particle Data Group's rule."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elbowroom.report import with_error
from elbowroom.report.records.number_format import compact, plain, significant


@pytest.mark.parametrize(
    ("value", "error", "expected", "short"),
    [
        (-17.81234, 0.0131, "-17.812 ± 0.013", "-17.812(13)"),
        (-17.81234, 0.0354, "-17.812 ± 0.035", "-17.812(35)"),
        (-17.81234, 0.0355, "-17.81 ± 0.04", "-17.81(4)"),
        (-17.81234, 0.0949, "-17.81 ± 0.09", "-17.81(9)"),
        (-17.81234, 0.0996, "-17.81 ± 0.10", "-17.81(10)"),
        (17.81234, 1.2, "17.8 ± 1.2", "17.8(1.2)"),
        (1781.234, 123.0, "1780 ± 120", "1780(120)"),
        (-17.4123701, 2.1e-6, "-17.412370 ± 0.000002", "-17.412370(2)"),
        (-17.4123701, 1e-9, "-17.412370 ± <1e-6", "-17.412370"),
        (-17.4123701, 0.0, "-17.412370 ± 0", "-17.412370"),
        (-17.4123701, math.inf, "-17.41 ± ∞", "-17.41(∞)"),
        (-17.4123701, math.nan, "-17.41 ± ?", "-17.41(?)"),
        (math.nan, 0.1, "–", "–"),
        (-math.inf, 0.1, "-∞", "-∞"),
        (-0.00001, 0.02, "0.000 ± 0.020", "0.000(20)"),
    ],
)
def test_known_pairs(value: float, error: float, expected: str, short: str) -> None:
    assert with_error(value, error) == expected
    assert compact(value, error) == short


@given(st.floats(-1e4, 1e4), st.floats(1e-5, 1e3))
def test_rounding_moves_neither_by_more_than_half_a_digit(value: float, error: float) -> None:
    shown_value, shown_error = map(float, with_error(value, error).split(" ± "))
    digits = with_error(value, error).split(" ± ")[1]
    last = 10.0 ** -len(digits.partition(".")[2]) if "." in digits else 10.0 ** (len(digits) - len(digits.rstrip("0")))
    assert abs(shown_error - error) <= 0.51 * last
    assert abs(shown_value - value) <= 0.51 * last
    assert abs(shown_error / error - 1) < 0.15  # one digit only where it says enough


def test_few_decimals() -> None:
    assert with_error(0.10251, 2e-7, max_decimals=4) == "0.1025 ± <1e-4"
    assert plain(13.3053, 3e-6, max_decimals=2) == "13.31"
    assert plain(1.3, 0.33, max_decimals=2) == "1.30 ± 0.33"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0202, "0.020"), (0.0996, "0.10"), (13.3, "13"), (1234.0, "1200"), (0.0, "0"), (-0.5, "-0.50")],
)
def test_significant_digits(value: float, expected: str) -> None:
    assert significant(value) == expected
