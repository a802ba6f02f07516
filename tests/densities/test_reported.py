"""What is reported of held-out data: means, units, errors that are shared and those that are not."""

import math

import pytest
import torch

from elbowroom.densities import RBM, HeldOut, held_out, mean_over_data
from elbowroom.inference import Estimate


def estimate(*values: float, stderr: float = 0.0, **info: float) -> Estimate:
    return Estimate(torch.tensor(values), torch.full((len(values),), stderr), "exact", dict(info))


def test_the_error_over_data_holds_what_all_of_them_share() -> None:
    alone, shared = estimate(-3.0, -1.0, -2.0), estimate(-3.0, -1.0, -2.0, stderr=0.3, common_stderr=0.3)
    assert mean_over_data(alone) == pytest.approx((-2.0, 1 / math.sqrt(3)))
    assert mean_over_data(shared) == pytest.approx((-2.0, math.hypot(1 / math.sqrt(3), 0.3)))
    low, high = mean_over_data(alone).interval
    assert (low + high, high - low) == pytest.approx((-4.0, 2 * 1.959964 / math.sqrt(3)))


def test_bits_per_value_are_a_code_length() -> None:
    """Fair coins: one bit a value."""
    result = HeldOut(estimate(*[6 * math.log(0.5)] * 4), None, 6)
    assert result.bits.value == pytest.approx(1.0) and result.overfit is None
    assert result.bits.stderr == pytest.approx(0.0)
    assert "1.0000 bits per value" in str(result) and "training" not in str(result)


def test_a_shared_error_cancels_in_a_difference() -> None:
    test, train = estimate(-3.0, -1.0, common_stderr=9.0), estimate(-1.0, -1.0, common_stderr=9.0)
    assert HeldOut(test, train, 4).overfit == pytest.approx((1.0, 1.0))
    assert "training data have 1.00 nats more" in str(HeldOut(test, train, 4))


def test_as_many_training_data_as_held_out_ones_are_taken() -> None:
    x = (torch.arange(40)[:, None] >> torch.arange(6) & 1).double()
    result = held_out(RBM(6, 2), x[:9], x)
    assert len(result.test) == 9 and result.train is not None and len(result.train) == 9
    everywhere = RBM(6, 2).log_prob(x).value
    assert everywhere.min() <= result.train.value.min()


def test_a_density_without_a_likelihood_says_so() -> None:
    nothing = Estimate(torch.full((3,), torch.nan), torch.full((3,), torch.nan), "none")
    said = str(HeldOut(nothing, nothing, 4))
    assert "no log p(x)" in said and "nan" not in said


def test_an_annealed_value_says_its_error() -> None:
    result = HeldOut(Estimate(torch.zeros(5), torch.full((5,), 0.2), "upper", {"common_stderr": 0.2}), None, 2)
    assert "an upper bound in expectation" in str(result) and "a standard error of 0.2 nats" in str(result)
