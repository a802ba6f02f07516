"""Overfitting of the encoder: a difference of mean gaps and its interval."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import ttest_ind
from torch import Tensor

from elbowroom.inference import Estimate
from elbowroom.inference.gap import Decomposition, decompose
from elbowroom.inference.gap.overfitting import encoder_overfitting
from toys.gap import Pixels


def with_gaps(one: Decomposition, gaps: Tensor) -> Decomposition:
    """A decomposition whose amortization gaps are these."""
    count = len(gaps)
    zero = Estimate(torch.zeros(count), torch.zeros(count), "none")
    no = torch.zeros(count, dtype=torch.bool)
    return replace(
        one,
        ladder={"encoder": zero},
        log_p=zero,
        exploded=no,
        flags=("",) * count,
        amortization=replace(zero, value=gaps),
    )


@pytest.fixture
def small() -> Decomposition:
    return decompose(Pixels().target(2), num_samples=32, families=["mean-field"])


def test_the_difference_and_its_interval(small: Decomposition) -> None:
    train, test = torch.tensor([0.1, 0.2, 0.3, 0.2]), torch.tensor([0.6, 0.8, 1.0])
    found = encoder_overfitting(with_gaps(small, train), with_gaps(small, test))
    reference = ttest_ind(test.numpy(), train.numpy(), equal_var=False).confidence_interval(0.95)
    assert math.isclose(found.difference, 0.6, rel_tol=1e-12)
    assert math.isclose(found.interval[0], reference.low, rel_tol=1e-9)
    assert math.isclose(found.interval[1], reference.high, rel_tol=1e-9)
    assert (found.num_train, found.num_test) == (4, 3)
    assert "overfits" in str(found)
    same = encoder_overfitting(with_gaps(small, train), with_gaps(small, train))
    assert same.difference == 0.0
    assert "No overfitting" in str(same)
    assert "drawn alike" in str(encoder_overfitting(with_gaps(small, test), with_gaps(small, train)))


def test_exploded_data_are_left_out_and_bad_sides_refused(small: Decomposition) -> None:
    gaps = torch.tensor([0.1, 0.2, 1e6])
    bad = replace(with_gaps(small, gaps), exploded=torch.tensor([False, False, True]))
    good = with_gaps(small, torch.tensor([0.1, 0.2]))
    assert encoder_overfitting(bad, good).difference == 0.0
    with pytest.raises(ValueError, match="test has 1 usable"):
        encoder_overfitting(good, with_gaps(small, gaps[:1]))
    with pytest.raises(ValueError, match="family"):
        encoder_overfitting(good, replace(good, family="mixture"))


@pytest.mark.slow
def test_the_interval_covers(small: Decomposition) -> None:
    """95 % intervals of two samples with one mean: 300 pairs, at most 6 % below the level (4.5 sigma: 5.7 %)."""
    generator, covered = torch.Generator().manual_seed(1), 0
    for _ in range(300):
        train, test = (torch.randn(n, generator=generator, dtype=torch.float64) * s for n, s in ((30, 1.0), (12, 2.0)))
        low, high = encoder_overfitting(with_gaps(small, train), with_gaps(small, test)).interval
        covered += low <= 0 <= high
    assert 0.89 < covered / 300 < 0.995
