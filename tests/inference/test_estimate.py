"""What an estimate says about itself."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import norm

from elbowroom.inference import Estimate
from elbowroom.inference.estimate import NORMAL_95, reasons


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
