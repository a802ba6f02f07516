"""Tempered SMC: exact, unbiased, right in law, and resampled as it says."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, quadrature
from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.evidence.annealing import blocks
from elbowroom.inference.evidence.annealing.smc import smc, systematic
from toys.failure_budget import sigmas
from toys.programs import TRIPLES, Ppca, conjugate, data, normal_evidence, normal_guide, normal_model

TIGHT = {"rtol": 1e-9, "atol": 1e-9}


@pytest.mark.slow
def test_exact_guide_makes_every_run_the_evidence() -> None:
    problem = Ppca.make(6, 2, 0.7)
    x = problem.sample(4)
    estimate = smc(Target(problem.model, problem.guide, x), num_steps=10, num_particles=4, num_runs=3)
    assert (estimate.info["log_weights"] - problem.evidence(x)).abs().max() < 1e-10
    assert bool((estimate.stderr == 0).all()) and not bool(estimate.info["num_resamplings"].any())
    assert estimate.bound == "lower" and set(estimate.flags) == {""}


@pytest.mark.slow
@pytest.mark.parametrize("num_steps", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2)), 4])
def test_evidence_is_unbiased_with_resampling(num_steps: int) -> None:
    """E[Ẑ] = p(x) over 4,000 repeats of one datum, with four particles in a run that must resample."""
    x = torch.full((4_000,), 4.0)
    target = Target(normal_model, normal_guide(1.0), x)
    estimate = smc(
        target, num_steps=num_steps, num_particles=4, num_runs=2, num_pilot=2, start="prior", memory_bytes=2**32
    )
    relative = (estimate.info["log_weights"] - normal_evidence(x)).exp().mean(0)
    error = relative.std() / math.sqrt(len(relative))
    assert abs(relative.mean() - 1) < sigmas(3) * error
    assert error < 0.04
    if num_steps > 1:
        assert estimate.info["num_resamplings"].double().mean() > 0.3


@pytest.mark.parametrize("start", [pytest.param("guide", marks=pytest.mark.slow), "prior"])
def test_right_in_law(start: str) -> None:
    problem = Ppca.make(20, 3, 0.7)
    x = problem.sample(6)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(problem.posterior(x).mean + 0.4, 0.3).to_event(1))

    estimate = smc(Target(problem.model, guide, x), num_steps=40, num_particles=32, num_runs=16, start=start)
    z = (estimate.value - problem.evidence(x)) / estimate.stderr
    assert z.abs().max() < sigmas(6) and estimate.stderr.max() < 0.2
    if start == "prior":
        assert estimate.info["num_resamplings"].double().mean() > 0.5  # about once a run


@pytest.mark.slow
def test_small_vae_against_quadrature() -> None:
    target = TRIPLES["convolution"]().target()
    truth = quadrature(target)
    estimate = smc(target, num_steps=30)
    z = (estimate.value - truth.value) / estimate.stderr
    assert z.abs().max() < sigmas(5)


def test_a_run_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_plan", lambda target, settings, cost: Plan(6, 4, 7))
    with pytest.raises(ValueError, match="fewer than num_particles=8"):
        smc(Target(normal_model, normal_guide(0.8), data(6)), num_steps=8, num_particles=8, num_runs=5)


def test_systematic_resampling_keeps_counts_within_one() -> None:
    log_w = data(3, 50, 4)
    chosen = systematic(log_w, torch.rand(3, 4))
    counts = torch.zeros(3, 50, 4).scatter_add(1, chosen, torch.ones(3, 50, 4))
    assert bool(((counts - 50 * log_w.softmax(1)).abs() < 1).all())


def test_systematic_resampling_is_unbiased() -> None:
    log_w = data(1, 7, 1).expand(40_000, -1, -1)
    chosen = systematic(log_w, torch.rand(40_000, 1))
    counts = torch.zeros(log_w.shape).scatter_add(1, chosen, torch.ones(log_w.shape))
    error = counts.std(0) / math.sqrt(40_000)
    gap = (counts.mean(0) - 7 * log_w[0].softmax(0)).abs()
    assert bool((gap < sigmas(7) * error + 1e-9).all())


def test_nan_stays_with_its_datum() -> None:
    x = data(4)
    bad = x[1].item()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, torch.where(x == bad, torch.nan, 1.0)), obs=x)

    estimate = smc(Target(model, normal_guide(0.8), x), num_steps=5, num_particles=8, num_runs=4)
    for b in range(4):
        assert bool(estimate.value[b].isnan()) == (b == 1) == ("NaN" in estimate.flags[b])


def test_one_run_does_not_know_its_error() -> None:
    estimate = smc(conjugate().target(), num_steps=5, num_runs=1)
    assert bool((estimate.stderr == torch.inf).all()) and all("num_runs" in flag for flag in estimate.flags)


@pytest.mark.parametrize("name", ["num_particles", "num_runs", "num_steps"])
def test_bad_sizes(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be an integer from 1 .* got 0"):
        smc(conjugate().target(), **{name: 0})
