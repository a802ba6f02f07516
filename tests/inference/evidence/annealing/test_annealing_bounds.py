"""Reverse annealing and the bidirectional bracket: above and below the truth, exact where they can be."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Draws, NotAReference, ProgramError, Target
from elbowroom.inference.evidence.annealing.ais import anneal
from elbowroom.inference.evidence.annealing.reverse import anneal_reverse, bidirectional
from toys.failure_budget import sigmas
from toys.programs import TRIPLES, Ppca, conjugate, data, normal_evidence, normal_guide, normal_model

TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def exact_draws(x: Tensor, num: int, seed: int = 11) -> dict[str, Tensor]:
    """p(z | x) of the conjugate model."""
    return {"z": x / 2 + math.sqrt(0.5) * data(num, len(x), seed=seed)}


def packed(x: Tensor, num_chains: int = 4, num_draws: int = 500) -> Draws:
    """Exact draws in the place of a sampler's."""
    z = exact_draws(x, num_chains * num_draws)["z"].unflatten(0, (num_chains, num_draws))
    return Draws({"z": z}, ["z"], {"diverging": torch.zeros(z.shape[:3], dtype=torch.bool)}, {})


# Reverse annealing ---------------------------------------------------------------------------------------------------


def test_exact_guide_makes_the_upper_bound_the_evidence() -> None:
    problem = Ppca.make(6, 2, 0.7)
    x = problem.sample(4)
    target = Target(problem.model, problem.guide, x)
    z, _ = target.propose(8)
    estimate = anneal_reverse(target, z, num_steps=10)
    torch.testing.assert_close(estimate.value, problem.evidence(x), **TIGHT)
    assert estimate.bound == "upper" and bool((estimate.stderr == 0).all()) and set(estimate.flags) == {""}


@pytest.mark.slow
@pytest.mark.parametrize("num_steps", [*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 4)), 2])
def test_reverse_weights_are_unbiased(num_steps: int) -> None:
    """E[1/w] = 1/p(x) from exact draws, over 8,000 repeats of one datum with two chains each."""
    x = torch.full((8_000,), 2.0)
    target = Target(normal_model, normal_guide(1.3), x)
    estimate = anneal_reverse(
        target, exact_draws(x, 2), num_steps=num_steps, num_chains=2, num_pilot=2, num_refresh=1, memory_bytes=2**32
    )
    relative = (normal_evidence(x) - estimate.info["log_weights"]).exp().mean(0)
    error = relative.std() / math.sqrt(len(relative))
    assert abs(relative.mean() - 1) < sigmas(3) * error
    assert error < 0.01


def test_reverse_estimate_agrees_with_the_truth_in_law() -> None:
    x = data(8) * math.sqrt(2.0)
    target = Target(normal_model, normal_guide(1.4), x)
    estimate = anneal_reverse(target, exact_draws(x, 200), num_steps=30, num_chains=200, num_refresh=0)
    z = (estimate.value - normal_evidence(x)) / estimate.stderr
    assert z.abs().max() < sigmas(8) and estimate.stderr.max() < 0.1


def test_draws_of_a_sampler_give_an_estimate_not_a_bound() -> None:
    x = data(4) * math.sqrt(2.0)
    target = Target(normal_model, normal_guide(0.8), x)
    estimate = anneal_reverse(target, packed(x), num_steps=20)
    assert estimate.bound == "none" and "upper estimate" in estimate.info["posterior"]
    assert ((estimate.value - normal_evidence(x)) / estimate.stderr).abs().max() < sigmas(4)


def test_draws_that_failed_their_gates_are_refused() -> None:
    x = data(3)
    target, short = Target(normal_model, normal_guide(0.8), x), packed(x, num_draws=20)
    with pytest.raises(NotAReference, match="effective sample size"):
        anneal_reverse(target, short, num_steps=5)
    estimate = anneal_reverse(target, short, num_steps=5, allow_failed=True)
    assert all("the draws are no reference" in flag for flag in estimate.flags)


def test_draws_outside_the_guide_or_the_model_are_flagged() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Uniform(torch.full((len(x),), -0.1), 0.1))

    x = data(2)
    estimate = anneal_reverse(Target(model, guide, x), {"z": torch.full((3, 2), 5.0)}, num_steps=3, num_refresh=0)
    assert all("does not cover the posterior" in flag for flag in estimate.flags)
    assert bool((estimate.value == torch.inf).all())


@pytest.mark.parametrize(
    ("z", "message"),
    [
        ({"y": torch.zeros(3, 5)}, r"posterior must hold draws of site 'z' .* got the sites \['y'\]"),
        ({"z": torch.zeros(3, 4)}, r"of shape \[S, 5\], got \(3, 4\)"),
        ({"z": torch.zeros(0, 5)}, r"got \(0, 5\)"),
    ],
)
def test_draws_of_something_else(z: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        anneal_reverse(conjugate().target(), z)


def test_bad_refresh() -> None:
    with pytest.raises(ValueError, match=r"num_refresh must be an integer from 0 .* got -1"):
        bidirectional(conjugate().target(), num_refresh=-1)


# Both ways on simulated data -----------------------------------------------------------------------------------------


def test_bracket_of_simulated_data_holds_the_truth() -> None:
    """Without a transition the bounds are loose: on either side of the truth, by several standard errors."""
    x = data(400)
    loose, tight = (
        bidirectional(Target(normal_model, normal_guide(0.3), x), num_steps=steps, num_chains=4, start="prior")
        for steps in (1, 30)
    )
    for both in (loose, tight):
        truth = normal_evidence(both.target.args[0])
        below, above = truth - both.lower.value, both.upper.value - truth
        for gap in (below, above):
            assert gap.mean() > -sigmas(4) * gap.std() / 20
        if both is loose:
            assert below.mean() > 3 * below.std() / 20 and above.mean() > 3 * above.std() / 20
    width, error = tight.mean_width()
    assert abs(width) < sigmas(2) * error + 0.01 and error < 0.02
    assert loose.mean_width()[0] > 0.1
    assert tight.lower.bound == "lower" and tight.upper.bound == "upper" and len(tight) == 400


def test_both_ways_use_the_same_kernels() -> None:
    both = bidirectional(conjugate(s=0.8).target(), num_steps=12, num_chains=6)
    torch.testing.assert_close(both.lower.info["betas"], both.upper.info["betas"])
    alone = anneal(both.target, num_steps=12, num_chains=6)
    torch.testing.assert_close(both.lower.info["log_weights"], alone.info["log_weights"], **TIGHT)
    above = anneal_reverse(both.target, both.z, num_steps=12, num_chains=6)
    torch.testing.assert_close(both.upper.info["log_weights"], above.info["log_weights"], **TIGHT)


# Simulated data ------------------------------------------------------------------------------------------------------


def test_simulated_data_have_the_models_law() -> None:
    """(z, x) of the conjugate model: variances 1 and 2, covariance 1, over 20,000 data."""
    target = Target(normal_model, normal_guide(1.0), data(20_000))
    simulated, z = target.simulate(3)
    pair = torch.stack([z["z"][0], simulated.args[0]])
    expected = torch.tensor([[1.0, 1.0], [1.0, 2.0]])
    # Var of a sample covariance s_ij: (σ_ii σ_jj + σ_ij²) / n
    error = ((torch.tensor([[1.0, 2.0], [2.0, 4.0]]) + expected**2) / 20_000).sqrt()
    assert ((pair.cov() - expected) / error).abs().max() < sigmas(4)
    # z is an exact posterior draw: (z − x/2) √2 is standard normal and independent of x.
    residual = (pair[0] - pair[1] / 2) * math.sqrt(2.0)
    assert abs(residual.mean()) < sigmas(2) / math.sqrt(20_000)
    assert abs((residual * pair[1]).mean()) < sigmas(2) * math.sqrt(2.0 / 20_000)


@pytest.mark.parametrize(
    "name", ["hierarchical", "inner_plate", "outer_plate", "rescaled", "convolution", "regression"]
)
def test_simulation_of_every_shape(name: str) -> None:
    target = TRIPLES[name]().target()
    simulated, z = target.simulate(1)
    again, same_z = target.simulate(1)
    other, _ = target.simulate(2)
    assert {n: v.shape[2:] for n, v in z.items()} == {n: torch.Size(s) for n, s in target.latents.items()}
    changed = 0
    for old, new, repeat, different in zip(target.args, simulated.args, again.args, other.args, strict=True):
        assert new.shape == old.shape and new.dtype == old.dtype and torch.equal(new, repeat)
        changed += not torch.equal(old, new) and not torch.equal(new, different)
    assert changed == 1 and all(torch.equal(z[n], same_z[n]) for n in z)
    assert bool(sum(simulated.log_joint(z)).isfinite().all())
    # A target built from scratch on the simulated data gives the same numbers.
    triple = TRIPLES[name]()
    fresh = Target(triple.model, triple.guide, *simulated.args, plate=triple.plate, **triple.kwargs)
    torch.testing.assert_close(sum(fresh.log_joint(z)), sum(simulated.log_joint(z)), **TIGHT)
    torch.testing.assert_close(fresh.propose(2)[1], simulated.propose(2)[1], **TIGHT)


def test_integers_and_missing_values_keep_their_place() -> None:
    counts = torch.tensor([3, 0, 7, 1], dtype=torch.uint8)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Gamma(2.0, 1.0))
            pyro.sample("x", dist.Poisson(z), obs=x.to(z.dtype))

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.LogNormal((x.double() + 1).log(), 0.5))

    simulated, _ = Target(model, guide, counts).simulate(0)
    assert simulated.args[0].dtype == torch.uint8 and not torch.equal(simulated.args[0], counts)
    triple = TRIPLES["masked_pixels"]()
    missing = triple.target().simulate(0)[0].args[0]
    assert torch.equal(missing.isnan(), triple.args[0].isnan())


def test_what_cannot_be_simulated() -> None:
    with pytest.raises(ProgramError, match=r"site 'total', of shape .* is none of the programs' tensor arguments"):
        TRIPLES["masked_data"]().target().simulate()
    with pytest.raises(ProgramError, match="reads an observed argument before it observes it"):
        TRIPLES["constrained"]().target().simulate()
