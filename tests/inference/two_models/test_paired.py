"""The mean of a paired difference: Student's interval where sides meet, and wider by what lies between them."""

import math

import pytest
import torch
from scipy import stats

from elbowroom.inference import Paired

D = torch.tensor([0.3, -0.1, 0.8, 0.5, 0.2, 0.9, 0.4, -0.2])
NOTHING = torch.zeros(8)


def test_new_data_have_students_interval() -> None:
    low, high = Paired(D, D, NOTHING, 8).interval(0.9)
    expected = stats.ttest_1samp(D.numpy(), 0.0).confidence_interval(0.9)
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_these_data_have_the_errors_of_estimation_alone() -> None:
    errors = torch.full((8,), 0.4)
    low, high = Paired(D, D, errors, 8, anew=False).interval(0.95)
    assert high - low == pytest.approx(2 * 1.959964 * 0.4 / math.sqrt(8), rel=1e-6)
    assert (low + high) / 2 == pytest.approx(float(D.mean()))


def test_a_sample_of_these_data_counts_what_was_left_out() -> None:
    low, high = Paired(D, D, NOTHING, 16, anew=False).interval(0.95)
    assert high - low == pytest.approx(2 * 1.959964 * math.sqrt(0.5 * float(D.var()) / 8), rel=1e-6)


def test_each_end_is_that_of_its_own_side() -> None:
    apart = Paired(D - 0.1, D + 0.3, NOTHING, 8)
    low, high = Paired(D, D, NOTHING, 8).interval()
    assert apart.interval() == pytest.approx((low - 0.1, high + 0.3))
    assert apart.apart == pytest.approx(0.2)
    assert apart.value == pytest.approx(float(D.mean()) + 0.1)


def test_sides_that_noise_has_crossed_keep_an_interval() -> None:
    low, high = Paired(D + 5, D - 5, NOTHING, 8).interval()
    assert low < high and Paired(D + 5, D - 5, NOTHING, 8).apart == 0


@pytest.mark.parametrize(("shift", "sign"), [(2.0, 1), (-2.5, -1), (0.0, 0)])
def test_a_sign_where_the_interval_leaves_out_zero(shift: float, sign: int) -> None:
    assert Paired(D + shift, D + shift, NOTHING, 8).sign() == sign


def test_so_many_data_would_tell() -> None:
    """With as many data of that mean and spread the interval at the level ends at zero."""
    few = Paired(D, D, NOTHING, 8)
    times = int(few.data_to_tell(0.999) / 8)
    many = D.repeat(times)
    assert Paired(many, many, torch.zeros(len(many)), len(many)).sign(0.999) == 1
    fewer = D.repeat(max(1, times // 4))
    assert Paired(fewer, fewer, torch.zeros(len(fewer)), len(fewer)).sign(0.999) == 0


def test_no_number_of_data_makes_up_for_sides_that_are_apart() -> None:
    assert Paired(D - 2, D + 2, NOTHING, 8).data_to_tell() == math.inf
    assert Paired(D - D.mean(), D - D.mean(), NOTHING, 8).data_to_tell() == math.inf


def test_the_heaviest_datum() -> None:
    d = D.clone()
    d[4] = 40.0
    place, share = Paired(d, d, NOTHING, 8).heaviest()
    assert place == 4 and share > 0.85
    assert Paired(NOTHING, NOTHING, NOTHING, 8).heaviest()[1] == 0


def test_one_datum_says_nothing_of_others() -> None:
    one = torch.tensor([3.0])
    assert Paired(one, one, torch.tensor([0.1]), 1).interval() == (-math.inf, math.inf)
    assert Paired(one, one, torch.tensor([0.1]), 1, anew=False).interval() == pytest.approx((2.804, 3.196), abs=1e-3)


@pytest.mark.slow
def test_intervals_cover() -> None:
    """Of 2000 samples of 20 differences whose sides are .05 apart; by chance 1.1 % either way."""
    generator, covered = torch.Generator().manual_seed(1), 0
    for _ in range(2000):
        d = 0.2 + torch.randn(20, generator=generator)
        noise = 0.1 * torch.randn(2, 20, generator=generator)
        low, high = Paired(d - 0.02 + noise[0], d + 0.02 + noise[1], torch.full((20,), 0.1), 20).interval()
        covered += low <= 0.2 <= high
    assert 0.94 <= covered / 2000 <= 0.98
