"""Discrete sites that the guide draws, summed out of model and guide: right values by closed form."""

import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import (
    Estimate,
    Target,
    agreement,
    anneal,
    audit_target,
    bounds,
    bracket,
    bridge,
    calibrate,
    decompose,
    hmc,
    importance,
    latent_use,
    quadrature,
    smc,
)
from toys.programs import data, normal

LOCS = torch.tensor([-2.0, 2.0], dtype=torch.float64)
X = torch.tensor([-1.0, 0.2, 3.0], dtype=torch.float64)


def mixture(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.Categorical(torch.tensor([0.3, 0.7])))
        z = pyro.sample("z", dist.Normal(LOCS[k], 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def wake_sleep(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.Categorical(logits=torch.stack([-x, x], -1)))
        pyro.sample("z", dist.Normal(0.8 * x + 0.2 * LOCS[k], 0.5))


def evidence(x: Tensor) -> Tensor:
    terms = [math.log(p) + normal(loc, 1.25**0.5, x) for p, loc in zip((0.3, 0.7), LOCS, strict=True)]
    return torch.stack(terms).logsumexp(0)


def log_q(x: Tensor, z: Tensor) -> Tensor:
    share = torch.stack([-x, x], -1).log_softmax(-1)
    return torch.stack([share[:, k] + normal(0.8 * x + 0.2 * LOCS[k], 0.5, z) for k in (0, 1)]).logsumexp(0)


@pytest.fixture
def target() -> Target:
    return Target(mixture, wake_sleep, X)


def test_both_programs_are_summed(target: Target) -> None:
    summed = target.collapsed()
    assert summed.latents == {"z": ()} and summed.structure.collapsed == ("k",)
    assert summed is target.collapsed() and summed.collapsed() is summed
    z, drawn = summed.propose(5)
    torch.testing.assert_close(z["z"], target.propose(5)[0]["z"])  # the same draws
    torch.testing.assert_close(drawn, log_q(X, z["z"]))
    moved = data(4, 3)
    torch.testing.assert_close(summed.log_guide({"z": moved}), log_q(X, moved))
    prior, likelihood = summed.log_joint({"z": moved})
    terms = [math.log(p) + normal(loc, 1.0, moved) for p, loc in zip((0.3, 0.7), LOCS, strict=True)]
    torch.testing.assert_close(prior, torch.stack(terms).logsumexp(0))
    torch.testing.assert_close(likelihood, normal(moved, 0.5, X))
    one = target.select([2]).collapsed()
    torch.testing.assert_close(one.log_guide({"z": moved[:, 2:]}), log_q(X, moved)[:, 2:])


def test_importance_gives_the_summed_value_and_the_bounds_of_the_draws(target: Target) -> None:
    estimate = importance(target, num_samples=4000, num_particles=(3,))
    assert ((estimate.value - evidence(X)).abs() < 4 * estimate.stderr).all()
    assert estimate.info["summed_out"] == ("k",)
    log_w = target.log_weights(4000)
    torch.testing.assert_close(estimate.info["elbo"], log_w.mean(0))
    smaller = (target.collapsed().log_weights(4000).exp().std(0) / log_w.exp().std(0)) < 1
    assert smaller.all()


@pytest.mark.slow
def test_what_needs_coordinates_answers(target: Target) -> None:
    """Where a discrete latent of the guide was refused."""
    torch.testing.assert_close(quadrature(target).value, evidence(X), rtol=0.0, atol=1e-6)
    assert set(hmc(target, num_draws=20, num_warmup=10).z) == {"z"}


@pytest.mark.slow
def test_every_estimator_answers(target: Target) -> None:
    exact = evidence(X)

    def right(estimate: Estimate) -> bool:
        return bool(((estimate.value - exact).abs() < 5 * estimate.stderr + 1e-6).all())

    draws = hmc(target, num_draws=200)
    assert set(draws.z) == {"z"}
    both = bracket(target, budget=10.0)
    assert right(quadrature(target)) and right(both.lower) and right(both.upper) and both.settled.all()
    assert all("'k'" in note and "summed out" in note for note in both.notes)
    assert right(anneal(target, num_steps=32)) and right(smc(target, num_steps=32)) and right(bridge(target, draws))
    assert right(bounds(target, num_samples=2000)["importance"])
    assert right(decompose(target).log_p)
    assert len(agreement(target, draws)) == 3


@pytest.mark.slow
def test_the_diagnostics_answer() -> None:
    x = data(10) * 2
    target = Target(mixture, wake_sleep, x)
    assert latent_use(target) is not None
    assert calibrate(target, num_simulations=60) is not None
    result = audit_target(target, budget=2.0)
    assert result.decomposition is not None and "use of the latents" not in " ".join(result.skipped)


NUM_CODES = 16


def codes(num_sites: int) -> tuple[Callable[[Tensor], None], Callable[[float], Callable[[Tensor], None]], Tensor]:
    """`num_sites` codes of 16 values each, added up in four dims; a guide that is ever nearer to a point mass."""
    table = data(num_sites, NUM_CODES, 4, seed=3)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            total = torch.zeros(4, dtype=x.dtype)
            for i in range(num_sites):
                total = (
                    total + table[i][pyro.sample(f"k{i}", dist.Categorical(torch.full((NUM_CODES,), 1 / NUM_CODES)))]
                )
            pyro.sample("x", dist.Normal(total, 0.4).to_event(1), obs=x)

    def guide(temperature: float) -> Callable[[Tensor], None]:
        def program(x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                for i in range(num_sites):
                    distance = (x.unsqueeze(-2) - table[i]).square().sum(-1)
                    pyro.sample(f"k{i}", dist.Categorical(logits=-distance / temperature))

        return program

    return model, guide, table


@pytest.mark.parametrize("temperature", [0.01, 0.3, 3.0])
def test_a_guide_of_codes_near_a_point_mass_is_exact(temperature: float) -> None:
    model, guide, table = codes(2)
    x = data(40, 4) * 1.5
    means = (table[0].unsqueeze(1) + table[1]).reshape(-1, 4)
    exact = (normal(means, 0.4, x.unsqueeze(1)).sum(-1) - 2 * math.log(NUM_CODES)).logsumexp(1)
    estimate = importance(Target(model, guide(temperature), x), num_samples=1000)
    torch.testing.assert_close(estimate.value, exact)
    assert (estimate.stderr == 0).all() and not any(estimate.flags)
    assert (estimate.info["elbo"] <= exact + 1e-9).all()


def test_equal_weights_are_no_proof_where_a_site_never_took_a_second_value() -> None:
    """Five sites of 16 values: too many to sum; a point mass's weights are equal, and say nothing."""
    model, guide, _ = codes(5)
    x = data(4, 4) * 1.5
    target = Target(model, guide(1e-3), x)
    assert target.collapsed() is target
    estimate = importance(target, num_samples=200)
    assert estimate.info["constant_weights"].any()
    for constant, flag in zip(estimate.info["constant_weights"].tolist(), estimate.flags, strict=True):
        assert ("'k0'" in flag and "never weighed" in flag) or not constant


def test_a_plate_of_codes_counts_all_of_its_values() -> None:
    def program(size: int) -> Target:
        def model(x: Tensor) -> None:
            with pyro.plate("data", len(x), dim=-2):
                with pyro.plate("codes", size, dim=-1):
                    k = pyro.sample("k", dist.Bernoulli(0.5))
                pyro.sample("x", dist.Normal(k.sum(-1, keepdim=True), 1.0), obs=x)

        def guide(x: Tensor) -> None:
            with pyro.plate("data", len(x), dim=-2), pyro.plate("codes", size, dim=-1):
                pyro.sample("k", dist.Bernoulli(torch.full((len(x), size), 0.4)))

        return Target(model, guide, data(3, 1))

    large = program(17)
    assert large.structure.latents["k"].num_values == 2**17 and large.collapsed() is large
