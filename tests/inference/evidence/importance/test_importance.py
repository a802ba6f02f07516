"""Importance sampling: exact where it can be, right in law where it cannot, the same however it is cut."""

import math
from functools import cache
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elbowroom.inference import Estimate, Target, importance, weights
from elbowroom.inference.evaluation.budget import measure
from toys import arviz_oracle
from toys.failure_budget import sigmas
from toys.programs import (
    TRIPLES,
    Ppca,
    Triple,
    conjugate,
    data,
    normal_evidence,
    normal_gap,
    normal_guide,
    normal_model,
)
from toys.selections import all_but_slow

TIGHT = {"rtol": 1e-12, "atol": 1e-12}


# Exact answers: the guide is the posterior ---------------------------------------------------------------------------


@pytest.mark.parametrize("num_data", [1, 64])
def test_exact_guide_of_the_conjugate_model(num_data: int) -> None:
    x = data(num_data) * math.sqrt(2.0)
    target = Target(normal_model, normal_guide(1.0), x)
    expected = normal_evidence(x)
    assert (target.log_weights(500) - expected).abs().max() < 1e-10
    check_exact(importance(target, num_samples=500, num_particles=[1, 7]), expected)


@pytest.mark.parametrize(("pixels", "latents", "sigma"), [(6, 2, 0.7), (64, 10, 0.1), (784, 2, 0.05)])
def test_exact_guide_of_ppca(pixels: int, latents: int, sigma: float) -> None:
    problem = Ppca.make(pixels, latents, sigma)
    x = problem.sample(7)
    target, expected = Target(problem.model, problem.guide, x), problem.evidence(x)
    # Rounding is relative to what is summed: the squared residuals and |log p(x)|.
    assert (target.log_weights(100) - expected).abs().max() < 1e-10 * max(1.0, expected.abs().max().item())
    check_exact(importance(target, num_samples=100, num_particles=[1, 7], search=False), expected)


def check_exact(estimate: Estimate, expected: Tensor) -> None:
    tolerance = {"rtol": 1e-10, "atol": 1e-10}
    for found in (estimate.value, estimate.info["elbo"], *estimate.info["iwae"].values()):
        torch.testing.assert_close(found, expected, **tolerance)
    assert bool(estimate.info["constant_weights"].all())
    assert bool((estimate.info["pareto_k"] == -torch.inf).all())
    assert bool((estimate.stderr == 0).all())
    assert set(estimate.flags) == {""}
    num_samples = estimate.info["num_samples"]
    torch.testing.assert_close(estimate.info["ess"], torch.full_like(expected, num_samples), rtol=1e-8, atol=0.0)
    torch.testing.assert_close(estimate.info["max_weight"], torch.full_like(expected, 1 / num_samples))


def test_weights_of_float32_programs_are_summed_in_float64() -> None:
    torch.set_default_dtype(torch.float32)
    target = Target(normal_model, normal_guide(0.8), data(4).float())
    log_w = target.log_weights(3000, seed=2)
    found = importance(target, num_samples=3000, seed=2)
    assert log_w.dtype == torch.float32
    torch.testing.assert_close(found.value, log_w.double().logsumexp(0) - math.log(3000), rtol=0, atol=1e-10)
    torch.testing.assert_close(found.info["elbo"], log_w.double().mean(0), rtol=0, atol=1e-10)


def test_exact_guide_in_float32() -> None:
    torch.set_default_dtype(torch.float32)
    x = data(8).float()
    estimate = importance(Target(normal_model, normal_guide(1.0), x), num_samples=500)
    assert bool(estimate.info["constant_weights"].all())
    torch.testing.assert_close(estimate.value, normal_evidence(x.double()), rtol=1e-5, atol=1e-5)


# The conjugate example with a guide that is too narrow ---------------------------------------------------------------


@pytest.mark.parametrize("num_data", [1, 8, 256])
def test_gap_and_tail_index_of_a_narrow_guide(num_data: int) -> None:
    """Gap −log s + (s² − 1)/2 for every datum, tail index 1 − s² on average, whatever the number of data."""
    x, num_samples = data(num_data) * math.sqrt(2.0), 5000
    for s in (0.95, 0.9, 0.7, 0.5):
        estimate = importance(Target(normal_model, normal_guide(s), x), num_samples=num_samples, search=False)
        gap = normal_evidence(x) - estimate.info["elbo"]
        z = (gap - normal_gap(s)) / estimate.info["elbo_stderr"]
        assert z.abs().max() < sigmas(4 * num_data)
        assert abs(z.mean()) < sigmas(4) / math.sqrt(num_data)
        # k̂ is pulled towards ½ by its prior, and this tail is not exactly Pareto, P(w > t) ~ t^(−1/k) / √log t: at this
        # S both the prior grid and that factor bias it, by less than 0.1. Its spread is that of the stated error.
        num_tail = weights.tail_length(num_samples)
        pulled = (num_tail * (1 - s * s) + 5) / (num_tail + 10)
        error = estimate.info["pareto_k_stderr"]
        assert bool(((estimate.info["pareto_k"] - pulled).abs() < 0.1 + sigmas(4 * num_data) * error).all())
        bias = estimate.info["pareto_k"].mean() - pulled
        assert abs(bias) < 0.1 + sigmas(4) * error.mean() / math.sqrt(num_data)
        if num_data == 256:
            assert 0.7 < (estimate.info["pareto_k"].std() / error.mean()).item() < 1.15


def test_value_and_error_bar_where_the_weights_have_variance() -> None:
    """s² > 1/2: Var w is finite, and z-scores over 256 data are about standard normal."""
    x = data(256) * math.sqrt(2.0)
    for s in (0.95, 0.9):
        estimate = importance(Target(normal_model, normal_guide(s), x), num_samples=5000, search=False)
        z = (estimate.value - normal_evidence(x)) / estimate.stderr
        assert z.abs().max() < sigmas(2 * 256) + 1  # k̂ up to 0.2: a little heavier than normal
        assert abs(z.mean()) < sigmas(2) / math.sqrt(256)
        assert abs(z.std() - 1) < sigmas(2) / math.sqrt(2 * 256)
        assert set(estimate.flags) == {""}


def test_a_heavy_tail_is_flagged() -> None:
    """s = 0.4: tail index 0.84, no mean to trust at 5000 samples for most data."""
    x = data(64) * math.sqrt(2.0)
    estimate = importance(Target(normal_model, normal_guide(0.4), x), num_samples=5000)
    high = estimate.info["pareto_k"] > 0.7
    assert high.float().mean() > 0.5 and estimate.info["heavy_tail"].float().mean() > 0.9
    for flag, k, heavy in zip(estimate.flags, high.tolist(), estimate.info["heavy_tail"].tolist(), strict=True):
        assert bool(flag) == heavy >= k and (not heavy or "k̂" in flag)


@pytest.mark.parametrize(("offset", "scale"), [(1e4, 1e-3), (1e5, 1e-3), (1e7, 0.7), (300.0, 1e-4), (2e3, 1e-3)])
def test_a_far_guide_in_float32_is_flagged(offset: float, scale: float) -> None:
    """So far off that all weights are equal up to rounding, and would be those of an exact guide."""
    torch.set_default_dtype(torch.float32)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2 + offset, scale))

    estimate = importance(Target(normal_model, guide, torch.tensor([0.3])), num_samples=1000)
    assert estimate.flags[0] and not bool(estimate.info["constant_weights"])
    assert estimate.stderr.item() >= torch.finfo(torch.float32).eps * abs(estimate.value.item())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_that_never_move_are_no_proof(dtype: torch.dtype) -> None:
    """A scale below rounding: every draw, so every weight, is the same, and log q is not the density of anything."""
    torch.set_default_dtype(dtype)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.where(x > 0, 100.0, x / 2), torch.where(x > 0, 1e-16, 0.5**0.5)))

    estimate = importance(Target(normal_model, guide, torch.tensor([0.3, -0.3])), num_samples=200)
    assert "all 200 draws of 'z' are equal" in estimate.flags[0]
    assert not estimate.flags[1]


def test_a_discrete_site_that_took_one_value_is_no_proof() -> None:
    """q(z > 0 | x) = 1e-6: 100 draws of zero have equal weights, and log p(x) is 0.7 nats above them.

    (A site of few values would be summed out.)
    """

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Poisson(torch.full((len(x),), math.log(2.0))))
            pyro.sample("x", dist.Normal(0.0 * z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Poisson(torch.full((len(x),), 1e-6)))

    estimate = importance(Target(model, guide, torch.tensor([0.3])), num_samples=100)
    assert "all 100 draws of 'z' are equal: its other values" in estimate.flags[0]


def test_discrete_draws_that_come_again_have_no_tail() -> None:
    """q never draws what most of the posterior is made of: few values with weights of their own, no tail.

    A continuous site beside tells draws apart, and so do as many values as there are draws.
    """

    def model(x: Tensor, rate: float) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Poisson(torch.full((len(x),), rate)))
            pyro.sample("x", dist.Normal(0.0 * z, 1.0), obs=x)

    def guide(x: Tensor, rate: float) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Poisson(torch.full((len(x),), 0.6 * rate)))

    x = torch.tensor([0.3, -1.0])
    few, many = (importance(Target(model, guide, x, rate), num_samples=1000) for rate in (10.0, 1e6))
    assert all("come again, and values that were never drawn are missing" in flag for flag in few.flags)
    assert all("come again" not in flag for flag in many.flags)


@pytest.mark.slow
def test_coverage_of_the_error_bar() -> None:
    """1000 repetitions with fresh seeds: the 95 % interval covers log p(x) in 92 to 98 % of them."""
    x = data(20) * math.sqrt(2.0)
    target, truth = Target(normal_model, normal_guide(0.9), x), normal_evidence(x)
    covered = torch.cat(
        [
            (estimate.value - truth).abs() < 1.96 * estimate.stderr
            for estimate in (importance(target, num_samples=1000, seed=seed) for seed in range(50))
        ]
    )
    assert len(covered) == 1000
    assert 0.92 < covered.float().mean() < 0.98


# Streaming -----------------------------------------------------------------------------------------------------------


def same(a: Estimate, b: Estimate, rtol: float = 1e-10) -> None:
    """Equal in all that is reported."""
    tolerance = {"rtol": rtol, "atol": 1e-10, "equal_nan": True}
    torch.testing.assert_close(a.value, b.value, **tolerance)
    torch.testing.assert_close(a.stderr, b.stderr, rtol=1e-6, atol=1e-9, equal_nan=True)
    assert a.flags == b.flags and a.info.keys() == b.info.keys()
    for name, value in a.info.items():
        if isinstance(value, Tensor):
            torch.testing.assert_close(value, b.info[name], rtol=1e-6, atol=1e-9, equal_nan=True)
    for k in a.info["iwae"]:
        torch.testing.assert_close(a.info["iwae"][k], b.info["iwae"][k], **tolerance)
        torch.testing.assert_close(
            a.info["iwae_stderr"][k], b.info["iwae_stderr"][k], rtol=1e-6, atol=1e-8, equal_nan=True
        )


@settings(max_examples=10, deadline=None)
@given(cells=st.integers(1, 1500), num_samples=st.integers(1, 250), sizes=st.sets(st.integers(1, 120), max_size=3))
def test_the_budget_changes_nothing(cells: int, num_samples: int, sizes: set[int]) -> None:
    target = streamed()
    sizes = {k for k in sizes if k <= num_samples}
    options: dict[str, Any] = {"num_samples": num_samples, "num_particles": sorted(sizes), "seed": 4, "search": False}
    budget = int(measure(target)(1, 1 + cells)) + 1
    same(importance(target, memory_bytes=budget, **options), importance(target, **options))


@cache
def streamed() -> Target:
    return conjugate(s=0.7, num_data=5).target()


@pytest.mark.parametrize("name", all_but_slow(sorted(TRIPLES), ("convolution", "constrained")))
def test_the_budget_changes_nothing_for_any_program(name: str) -> None:
    target = TRIPLES[name]().target()
    budget = int(measure(target)(1 if target.sliceable else len(target), 40)) + 1
    search = None if name in ("conjugate", "convolution", "drawn_discrete") else False
    options: dict[str, Any] = {"num_samples": 100, "num_particles": [3], "search": search}
    same(importance(target, memory_bytes=budget, **options), importance(target, **options))


def test_streamed_numbers_are_those_of_the_stored_weights() -> None:
    """K that divide neither chunk nor S; Pareto k̂ from the streamed tail is that of all weights, and ArviZ's."""
    target = streamed()
    log_w = target.log_weights(1000, seed=2)
    budget = int(measure(target)(5, 300))
    sizes = [1, 2, 3, 7, 64, 256, 257, 511, 1000]
    estimate = importance(target, num_samples=1000, seed=2, num_particles=sizes, memory_bytes=budget)
    for k in sizes:
        torch.testing.assert_close(estimate.info["iwae"][k], weights.iwae(log_w, k), **TIGHT)
        groups = weights.grouped(log_w, k)
        if len(groups) > 1:
            expected = groups.std(0) / math.sqrt(len(groups))
            torch.testing.assert_close(estimate.info["iwae_stderr"][k], expected, rtol=1e-6, atol=1e-9)
        else:
            assert bool(estimate.info["iwae_stderr"][k].isnan().all())
    for found, expected in (
        (estimate.value, weights.log_marginal(log_w)),
        (estimate.info["delta_stderr"], weights.log_marginal_stderr(log_w)),
        (estimate.stderr, weights.tail_of(log_w).widened(weights.log_marginal_stderr(log_w))),
        (estimate.info["pareto_k_long"], weights.tail_of(log_w).k_long),
        (estimate.info["elbo"], weights.elbo(log_w)),
        (estimate.info["elbo_stderr"], weights.elbo_stderr(log_w)),
        (estimate.info["ess"], weights.ess(log_w)),
        (estimate.info["max_weight"], weights.normalized(log_w).amax(0)),
        (estimate.info["pareto_k"], weights.pareto_k(log_w)),
        (estimate.info["pareto_k"], arviz_oracle.pareto_k(log_w)),
    ):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_zero_weights_in_any_cut() -> None:
    """A guide wider than the prior's support: the ELBO is −∞, the evidence finite, in one chunk or in many."""
    x = data(5).abs()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.HalfNormal(1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, 1.0))

    target = Target(model, guide, x)
    whole = importance(target, num_samples=2000, num_particles=[1, 50])
    cut = importance(target, num_samples=2000, num_particles=[1, 50], memory_bytes=int(measure(target)(5, 300)))
    same(cut, whole)
    assert bool((whole.info["elbo"] == -torch.inf).all()) and bool((whole.info["iwae"][1] == -torch.inf).all())
    # p(x) = 2 N(x; 0, 2) Φ(x/√2)
    truth = math.log(2) + normal_evidence(x) + torch.special.log_ndtr(x / math.sqrt(2.0))
    assert ((whole.value - truth) / whole.stderr).abs().max() < sigmas(5)
    assert not bool(whole.info["constant_weights"].any()) and set(whole.flags) == {""}


def test_nothing_but_zero_weights_is_flagged() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.HalfNormal(1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.where(x > 0, -50.0, 50.0), 1.0))

    estimate = importance(Target(model, guide, torch.tensor([1.0, -1.0])), num_samples=50)
    assert estimate.value[0] == -torch.inf and bool(estimate.value[1].isfinite())
    assert "every weight is zero" in estimate.flags[0] and "every weight" not in estimate.flags[1]


def test_nan_stays_with_its_datum() -> None:
    x = data(5)
    worst = int(x.argmax())
    bad = x[worst].item()

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, torch.where(x == bad, torch.nan, 0.8)))

    estimate = importance(Target(normal_model, guide, x), num_samples=100, num_particles=[10])
    for b in range(5):
        assert bool(estimate.value[b].isnan()) == (b == worst)
        assert ("NaN" in estimate.flags[b]) == (b == worst)
        assert bool(estimate.info["iwae"][10][b].isnan()) == (b == worst)


# Bounds --------------------------------------------------------------------------------------------------------------


def test_bounds_grow_with_the_number_of_particles() -> None:
    """ELBO < IWAE-5 < IWAE-50 < log p(x) in expectation: means over 64 data, by several standard errors each."""
    x = data(64) * math.sqrt(2.0)
    sizes = [1, 5, 50]
    estimate = importance(Target(normal_model, normal_guide(0.5), x), num_samples=5000, num_particles=sizes)
    means = [estimate.info["iwae"][k].mean() for k in sizes] + [normal_evidence(x).mean()]
    errors = [estimate.info["iwae_stderr"][k].norm() / 64 for k in sizes] + [torch.tensor(0.0)]
    for i in range(3):
        assert means[i + 1] - means[i] > sigmas(3) * torch.hypot(errors[i], errors[i + 1])
    torch.testing.assert_close(estimate.info["iwae"][1], estimate.info["elbo"], **TIGHT)
    assert estimate.bound == "lower"


def test_rows_do_not_see_each_other() -> None:
    """The estimate of a datum is the same alone, among others, and in another order."""
    triple = conjugate(s=0.7, num_data=6)
    (x,) = triple.args
    whole = importance(triple.target(), num_samples=300, seed=9)
    for rows in ([2], [5, 0, 3]):
        some = importance(Target(triple.model, triple.guide, x[rows]), num_samples=300, seed=9)
        torch.testing.assert_close(some.value, whole.value[rows], **TIGHT)
        torch.testing.assert_close(some.info["pareto_k"], whole.info["pareto_k"][rows], rtol=1e-9, atol=1e-9)
    other = importance(triple.target(), num_samples=300, seed=10)
    assert bool((other.value != whole.value).all())


# Arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_samples": 0}, "num_samples must be an integer from 1 to .*got 0"),
        ({"num_samples": -3}, "num_samples must be an integer from 1 to .*got -3"),
        ({"num_samples": 10, "num_particles": [11]}, r"num_particles must lie in 1 … num_samples = 10, got 11"),
        ({"num_samples": 10, "num_particles": [0]}, r"num_particles\[0\] must be an integer from 1 .* got 0"),
        (
            {"num_samples": 10, "memory_bytes": 1},
            r"memory_bytes=1 is too small: one sample of one datum takes about \d+",
        ),
    ],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        importance(conjugate().target(), **options)


def test_one_sample_one_datum() -> None:
    triple = conjugate(num_data=1)
    estimate = importance(triple.target(), num_samples=1, num_particles=[1])
    assert estimate.value.shape == estimate.stderr.shape == (1,)
    assert estimate.stderr.item() == math.inf and "Pareto" in estimate.flags[0]
    assert bool(estimate.info["pareto_k"].isnan()) and estimate.info["ess"].item() == pytest.approx(1.0)
    torch.testing.assert_close(estimate.info["iwae"][1], estimate.value, **TIGHT)


def test_no_gradients_are_recorded() -> None:
    weight = torch.ones((), requires_grad=True)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(weight * x / 2, 0.7))

    estimate = importance(Target(normal_model, guide, data(3)), num_samples=30)
    assert not estimate.value.requires_grad


@pytest.mark.parametrize("name", sorted(TRIPLES))
def test_shapes_for_every_program(name: str) -> None:
    triple: Triple = TRIPLES[name]()
    target = triple.target()
    estimate = importance(target, num_samples=64, num_particles=[8])
    for key in ("elbo", "elbo_stderr", "ess", "pareto_k", "pareto_k_stderr", "max_weight", "constant_weights"):
        assert estimate.info[key].shape == (len(target),)
    assert len(estimate.flags) == len(target) == len(estimate.value)
    assert bool(estimate.value.isfinite().all())
    runs = 2 if "summed_out" in estimate.info else 1
    assert estimate.info["num_samples"] == 64 and estimate.info["num_evaluations"] == 64 * runs


def test_large_spread_of_log_weights_does_not_overflow() -> None:
    """Thousands of nats between weights, as with an untrained decoder."""
    problem = Ppca.make(100, 2, 0.01)
    x = problem.sample(3)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(len(x), 2), 1.0).to_event(1))

    estimate = importance(Target(problem.model, guide, x), num_samples=400, num_particles=[7])
    assert bool(estimate.value.isfinite().all()) and bool((estimate.info["pareto_k"] > 1).all())
    assert all("k̂" in flag for flag in estimate.flags)
