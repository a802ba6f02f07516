"""What an estimate says about itself."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import norm

from elbowroom.inference import Estimate
from elbowroom.inference.estimate import NORMAL_95, Bound, contradictions, reasons, with_contradictions


def test_mean_over_data_and_its_two_errors() -> None:
    estimate = Estimate(torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.3, 0.4, 1.2]), "lower")
    assert len(estimate) == 3
    assert estimate.mean() == pytest.approx((3.0, 1.3 / 3))
    assert estimate.spread() == pytest.approx(math.sqrt(7 / 3))
    assert estimate.flags == ("", "", "")


def test_one_datum_has_no_spread() -> None:
    assert math.isnan(Estimate(torch.ones(1), torch.zeros(1), "exact").spread())


def test_flags_and_immutability() -> None:
    estimate = Estimate(torch.ones(2), torch.zeros(2), "none", flags=("", "no"))
    assert estimate.flags == ("", "no") and estimate.info == {}
    assert replace(estimate, value=torch.zeros(2)).flags == ("", "no")
    with pytest.raises(AttributeError):
        estimate.value = torch.zeros(2)  # type: ignore[misc]


def test_float32_means_are_taken_in_float64() -> None:
    value = torch.full((3_000_000,), 0.1, dtype=torch.float32)
    assert Estimate(value, torch.zeros_like(value), "lower").mean()[0] == pytest.approx(float(value[0]), abs=1e-12)


def test_several_flags_are_one() -> None:
    assert reasons("", "too few", "", "too low") == "too few; too low"
    assert reasons("", "") == reasons() == ""


def test_the_quantile_of_a_95_percent_interval() -> None:
    assert pytest.approx(norm.ppf(0.975), abs=1e-6) == NORMAL_95


# Contradictions -------------------------------------------------------------------------------------------------------


def one(value: float, stderr: float, bound: Bound, flag: str = "") -> Estimate:
    return Estimate(torch.tensor([value]), torch.tensor([stderr]), bound, flags=(flag,))


def test_an_answer_below_the_exact_one_is_contradicted() -> None:
    """3.0 nats, 30 errors of 0.1; within four errors and 0.02 nats there is nothing to say."""
    found = contradictions({"importance": one(-10.0, 0.1, "lower"), "exact": one(-7.0, 0.0, "exact")})
    assert found == {"importance": ("3 nats (30 s.e.) below exact",), "exact": ("",)}
    for value in (-7.41, -6.59):
        assert contradictions({"a": one(value, 0.1, "none"), "exact": one(-7.0, 0.0, "exact")})["a"] == ("",)
    (text,) = contradictions({"a": one(-6.5, 0.1, "lower"), "exact": one(-7.0, 0.0, "exact")})["a"]
    assert text == "0.5 nats (5 s.e.) above exact"


@pytest.mark.parametrize(
    ("low", "high", "contradicted"),
    [
        ("lower", "lower", {"low"}),  # of two lower bounds the lower one is off
        ("lower", "upper", set()),  # that is how it should be
        ("upper", "lower", {"low", "high"}),  # crossed: one of them is wrong
        ("upper", "upper", {"high"}),
        ("none", "lower", {"low"}),
        ("lower", "none", {"low"}),
        ("none", "none", {"low", "high"}),
        ("exact", "lower", {"low", "high"}),
        ("lower", "exact", {"low"}),
        ("none", "upper", {"high"}),
    ],
)
def test_who_contradicts_whom(low: Bound, high: Bound, contradicted: set[str]) -> None:
    """Two answers five nats apart."""
    found = contradictions({"low": one(-10.0, 0.1, low), "high": one(-5.0, 0.1, high)})
    assert {name for name, texts in found.items() if texts[0]} == contradicted


def test_flagged_and_missing_answers_contradict_nothing() -> None:
    good = one(-10.0, 0.1, "lower")
    for witness in (
        one(-5.0, 0.1, "exact", "not to be trusted"),
        one(math.nan, math.nan, "exact"),
        one(math.inf, math.inf, "upper"),
        one(-5.0, math.inf, "lower"),
    ):
        assert contradictions({"good": good, "witness": witness})["good"] == ("",)


def test_flags_gain_the_contradiction_once() -> None:
    both = {"importance": one(-10.0, 0.1, "lower", "k̂"), "exact": one(-7.0, 0.0, "exact")}
    once = with_contradictions(both)
    assert once["importance"].flags == ("k̂; 3 nats (30 s.e.) below exact",) and once["exact"].flags == ("",)
    assert with_contradictions(once)["importance"].flags == once["importance"].flags
    assert both["importance"].flags == ("k̂",)
