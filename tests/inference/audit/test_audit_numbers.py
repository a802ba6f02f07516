"""Numbers with intervals: of samples of data they cover what all data would say, of all data they are that."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import binom
from torch import Tensor

from elbowroom.inference import Estimate
from elbowroom.inference.audit.examination import queue_of, representative
from elbowroom.inference.audit.intervals import Z, mean, median, share
from elbowroom.inference.audit.numbers import MISSED, missed, numbers_of, rung_key
from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Number
from elbowroom.inference.audit.verdict.next_steps import _STEPS
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.inference.gap.rungs import RUNGS
from toys.audit import generator

REPEATS = 1000
LEAST = binom.ppf(1e-3, REPEATS, 0.95) / REPEATS
"""A 95 % interval covers less often than this in one of a thousand runs."""


def of(values: Tensor, stderr: float = 0.0) -> Estimate:
    return Estimate(values, torch.full_like(values, stderr), "none")


def coverage(found: Callable[[Tensor], Number], truth: float, num_data: int, num_sampled: int) -> float:
    """How often the interval from a random sample holds the truth."""
    noise, hits = generator(0), 0
    for _ in range(REPEATS):
        number = found(torch.randperm(num_data, generator=noise)[:num_sampled])
        assert number.low <= number.value <= number.high
        hits += number.low <= truth <= number.high
    return hits / REPEATS


@pytest.mark.parametrize(("num_data", "num_sampled"), [(500, 8), (500, 40), (60, 40)])
def test_the_interval_of_a_mean_covers_the_mean_of_all_data(num_data: int, num_sampled: int) -> None:
    values = torch.randn(num_data, generator=generator(1))
    found = coverage(lambda rows: mean(of(values), rows, num_data, ""), float(values.mean()), num_data, num_sampled)
    assert LEAST <= found <= 0.975


def test_the_interval_of_a_mean_covers_in_spite_of_noise() -> None:
    """Every value has an error of its own, as large as the spread: both are in the interval."""
    values, noise = torch.randn(200, generator=generator(1)), generator(2)

    def found(rows: Tensor) -> Number:
        return mean(of(values + torch.randn(200, generator=noise), 1.0), rows, 200, "")

    assert coverage(found, float(values.mean()), 200, 30) >= LEAST
    everything = torch.arange(200)
    truth = float(values.mean())
    assert LEAST <= coverage(lambda _: found(everything), truth, 200, 1) <= 0.975


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.95])
@pytest.mark.parametrize(("num_data", "num_sampled"), [(500, 12), (500, 60), (60, 40)])
def test_the_interval_of_a_share_covers_the_share_of_all_data(p: float, num_data: int, num_sampled: int) -> None:
    """Wilson's interval of few data may fall a little short of 95 % where the share is near 0 or 1."""
    marks = torch.arange(num_data) < round(p * num_data)
    truth = float(marks.double().mean())
    found = coverage(lambda rows: share(marks[rows], num_data, ""), truth, num_data, num_sampled)
    assert found >= LEAST - 0.03


@pytest.mark.parametrize(("num_data", "num_sampled"), [(500, 9), (500, 40), (60, 40)])
def test_the_interval_of_a_median_covers_the_median_of_all_data(num_data: int, num_sampled: int) -> None:
    values = -torch.rand(num_data, generator=generator(3)).log()
    truth = float(values.quantile(0.5))
    assert coverage(lambda r: median(of(values), r, num_data, ""), truth, num_data, num_sampled) >= LEAST


def test_of_all_data_nothing_is_left_to_sampling() -> None:
    values = torch.tensor([0.0, 1.0, 5.0, 2.0])
    rows = torch.arange(4)
    assert mean(of(values), rows, 4, "m") == Number(2.0, 2.0, 2.0, "nats", "m", "Monte Carlo")
    assert median(of(values), rows, 4, "m") == Number(1.5, 1.0, 2.0, "nats", "m", "Monte Carlo")
    assert share(values > 0.5, 4, "s") == Number(0.75, 0.75, 0.75, "share", "s; of 4")
    for sampled in (mean(of(values), rows, 9, "m"), median(of(values), rows, 9, "m"), share(values > 0.5, 9, "s")):
        assert sampled.kind == "4 data as a sample of 9"
    found = mean(of(values, 0.3), rows, 4, "m")
    assert found.high - found.value == pytest.approx(Z * 0.3 / 2) == found.value - found.low
    odd = median(of(values[:3], 0.1), rows[:3], 3, "m")
    assert (odd.low, odd.value, odd.high) == pytest.approx((1 - Z * 0.1, 1.0, 1 + Z * 0.1))


def test_one_datum_of_many_says_nothing_of_the_others() -> None:
    found = mean(of(torch.tensor([3.0])), torch.tensor([0]), 9, "m")
    assert (found.value, found.low, found.high) == (3.0, -math.inf, math.inf)
    assert found.about == "m; of 1 data, a random sample of 9"
    middle = median(of(torch.tensor([3.0])), torch.tensor([0]), 9, "m")
    assert (middle.value, middle.low, middle.high) == (3.0, -math.inf, math.inf)


def test_a_mode_counts_as_missed_beyond_noise() -> None:
    mass = torch.tensor([MISSED + 0.01, MISSED + 0.01, 0.9, math.nan, 0.0])
    assert missed(mass, torch.tensor([0.001, 0.01, 0.1, 0.1, 0.0])).tolist() == [True, False, True, False, False]


def test_every_step_to_a_larger_family_rests_on_the_gain_of_a_rung() -> None:
    assert rung_key("mean-field") == "gain_mean_field" and rung_key("full covariance") == "gain_full_covariance"
    assert set(_STEPS) - {"beyond"} <= {rung_key(name) for name in RUNGS}


def test_the_worst_come_first_and_the_others_in_random_order() -> None:
    order, room = [3, 0, 4, 1, 2], torch.tensor([0.1, 7.0, math.nan, 0.2, 5.0])
    assert queue_of(order, room, 2) == [2, 1, 3, 0, 4]
    assert queue_of(order, room, 9) == [2, 1, 4, 3, 0]
    assert sorted(queue_of(order, room, 3)) == list(range(5))
    assert representative([2, 1], order, 2) == ()
    assert representative([2, 1, 3], order, 2) == ()
    assert representative([2, 1, 3, 0], order, 2) == (3,)
    assert representative([2, 1, 3, 0, 4], order, 2) == (3, 0, 4, 1, 2)
    assert representative([3, 0, 4, 1], [3, 0, 1, 4, 2], 2) == (3, 0, 1)


def test_means_are_not_those_of_the_worst() -> None:
    """A tenth of the data, ten times as bad as the others, is examined first: the random sample stays one.

    Its mean is unbiased (inverse sampling), where all examined data together would overstate the mean two times.
    """
    num_data, noise, kept, naive = 100, generator(5), [], []
    room = torch.where(torch.arange(num_data) < 10, 10.0, 1.0)
    for _ in range(400):
        order = torch.randperm(num_data, generator=noise).tolist()
        examined = queue_of(order, room, 10)[:40]
        rows = representative(examined, order, 10)
        kept.append(float(room[list(rows)].mean()))
        naive.append(float(room[examined].mean()))
    sampled = torch.tensor(kept)
    truth, stderr = float(room.mean()), float(sampled.std()) / 400**0.5
    assert abs(float(sampled.mean()) - truth) < 4 * stderr
    assert sum(naive) / 400 > 1.5 * truth


def test_where_the_room_is_not_known_of_all_it_is_at_least_what_the_lower_sides_leave() -> None:
    """Nine data, datum 4 exploded; of datum 2 the two sides are a nat apart."""
    log_p, stderr = -20 + torch.linspace(0, 1, 9, dtype=torch.float64), torch.full((9,), 0.01, dtype=torch.float64)
    upper = log_p + torch.where(torch.arange(9) == 2, 1.0, 0.0)
    ledger = Ledger.empty(9)
    ledger.put("adapted importance", torch.arange(9), Estimate(log_p, stderr, "lower"))
    ledger.put("adapted importance, upper", torch.arange(9), Estimate(upper, stderr, "upper"))
    elbo = log_p - torch.where(torch.arange(9) == 4, 1e9, 0.5)
    info: Any = {"elbo": elbo, "elbo_stderr": stderr, "pareto_k": torch.zeros(9), "num_samples": 100}
    sampled: Any = Estimate(log_p, stderr, "lower", info)
    usable = tuple(b for b in range(9) if b != 4)
    parts = Parts(9, sampled, read(ledger, 0.1, {}), None, None, None, usable=usable)
    found = numbers_of(parts)
    assert "gap" not in found and found["gap_at_least"].value == pytest.approx(0.5)
    assert found["gap_at_least"].high == math.inf and found["gap_at_least"].low < 0.5
    assert found["log_p_at_least"].value == pytest.approx(float(log_p[list(usable)].mean()))
    assert found["elbo"].value == pytest.approx(found["log_p_at_least"].value - 0.5)
    assert math.isfinite(found["elbo"].high) and found["elbo"].kind == "Monte Carlo"
