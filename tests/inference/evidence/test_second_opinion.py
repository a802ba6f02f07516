"""A guide on one of two modes: every estimator that rests on it says what a search from the prior found."""

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import (
    Estimate,
    Target,
    adapted_importance,
    anneal,
    anneal_reverse,
    bounds,
    bracket,
    bridge,
    hmc,
    importance,
    smc,
)
from elbowroom.inference.evidence.second_opinion import (
    MOST_LATENTS,
    OpinionInfo,
    found_more,
    is_sent,
    second_opinion,
)
from elbowroom.reference import problem
from toys.counted import Counted
from toys.failure_budget import sigmas
from toys.programs import Ppca, data, gamma_guide, gamma_model, normal_evidence, normal_guide, normal_model
from toys.selections import rest_slow
from toys.separate_modes import SeparateModes

COPIES = 4
BY_GUIDE: dict[str, Callable[[Target], Estimate]] = {
    "importance": importance,
    "bounds": lambda target: bounds(target)["upper-1"],
    "anneal": lambda target: anneal(target, num_steps=10),
    "smc": lambda target: smc(target, num_steps=10, num_runs=8),
}


@pytest.mark.parametrize("on", rest_slow(["small", "large"], 1))
@pytest.mark.parametrize("name", BY_GUIDE)
def test_what_a_guide_misses_is_flagged(name: str, on: str) -> None:
    modes = SeparateModes(4, on=on)
    found = BY_GUIDE[name](modes.target(COPIES))
    assert float((modes.evidence - found.value).min()) > 0.05
    assert all("a search from the prior says" in flag for flag in found.flags)


def test_lower_bounds_stay_what_they_are() -> None:
    found = bounds(SeparateModes(4).target(2), num_samples=500)
    assert found["elbo"].flags == ("", "") and all("a search" in flag for flag in found["importance"].flags)


@pytest.mark.slow
def test_chains_know_both_modes_and_what_rests_on_them_does() -> None:
    modes = SeparateModes(4)
    target = modes.target(COPIES)
    draws = hmc(target)
    left = (draws.flat.mean(-1) < 0).double().mean((0, 1))
    assert bool(((left > 0.02) & (left < 0.3)).all())
    for estimate in (bridge(target, draws), *adapted_importance(target, draws)):
        assert float(((estimate.value - modes.evidence) / estimate.stderr).abs().max()) < sigmas(COPIES) + 1
        assert not any("a search from the prior" in flag for flag in estimate.flags)
    sides = bracket(target, budget=600.0)
    assert bool(sides.settled.all()) and float((sides.lower.value - modes.evidence).abs().max()) < 0.05


@pytest.mark.slow
def test_chains_that_were_kept_in_one_mode_are_held_against_their_own_search() -> None:
    modes = SeparateModes(4)
    target = modes.target(2)
    told, kept = hmc(target, num_draws=50), hmc(target, start="guide", num_draws=200)
    assert "prior_ess" not in kept.info
    names = ("prior_log_p", "prior_log_p_stderr", "prior_ess", "prior_crowded")
    for name in names:
        kept.info[name] = told.info[name]  # type: ignore[literal-required]
    assert all("nats more" in flag for flag in bridge(target, kept).flags)
    assert all("nats more" in flag for side in adapted_importance(target, kept) for flag in side.flags)
    assert all("nats more" in flag for flag in anneal_reverse(target, kept, num_steps=10, allow_failed=True).flags)
    assert torch.equal(kept.select([1]).info["prior_ess"], told.info["prior_ess"][1:])


def test_good_guides_are_not_doubted() -> None:
    x = data(40)
    target = Target(normal_model, normal_guide(0.9), x)
    opinion = second_opinion(target)
    assert float(((opinion.value - normal_evidence(x)) / opinion.stderr).abs().max()) < sigmas(40) + 0.5
    assert not any("a search" in flag for flag in importance(target).flags)
    rates = Target(gamma_model, gamma_guide, torch.tensor([1.0, 3.0, 0.0]))
    assert not any("a search" in flag for flag in importance(rates).flags)


@pytest.mark.slow
def test_particles_that_have_collapsed_in_single_precision_claim_nothing() -> None:
    """A posterior a thousandth as wide as its prior leaves one particle, whose width no number near it can tell."""
    problem = Ppca.make(64, 10, 0.1)
    x = problem.sample(60).float()
    truth = problem.evidence(x.double())
    single = Ppca(problem.weight.float(), problem.mean.float(), problem.sigma)
    torch.set_default_dtype(torch.float32)
    opinion = second_opinion(Target(single.model, single.guide, x))
    above = opinion.value - truth
    assert bool(opinion.value.isfinite().all())
    assert bool((above < sigmas(60) * opinion.stderr + 0.05).all())


def test_an_opinion_is_each_datums_own() -> None:
    target = SeparateModes(3).target(5)
    whole, part = second_opinion(target), second_opinion(target.select([3, 1]))
    torch.testing.assert_close(part.value, whole.value[[3, 1]], rtol=1e-8, atol=1e-8)
    small = second_opinion(target, memory_bytes=2**21)  # cut, and recorded
    torch.testing.assert_close(small.value, whole.value, rtol=1e-8, atol=1e-8)


def test_when_a_search_is_sent() -> None:
    """By itself where it is cheap and can see; on request anywhere; never where there is nothing to search."""
    assert is_sent(SeparateModes(MOST_LATENTS).target(1), None)
    large = SeparateModes(MOST_LATENTS + 1).target(1)
    assert not is_sent(large, None) and is_sent(large, True) and not is_sent(SeparateModes(2).target(1), False)

    def nothing(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)

    def none(x: Tensor) -> None:
        pass

    empty = Target(nothing, none, data(3))
    assert not is_sent(empty, None)
    with pytest.raises(ValueError, match="search=True needs continuous latents"):
        importance(empty, search=True)


def test_without_a_search_nothing_more_is_evaluated() -> None:
    target = SeparateModes(4).target(2)
    with Counted() as plain:
        assert importance(target, search=False).flags == ("", "")
    with Counted() as searched:
        importance(target)
    assert plain.operations < searched.operations / 3


def test_an_opinion_with_even_weights_speaks_against_values_above_it_too() -> None:
    """Unless it lies so far below that it cannot have found the posterior: a search that has collapsed."""
    info: OpinionInfo = {
        "ess": torch.tensor([4000.0, 4000.0, 100.0, 4000.0]),
        "is_crowded": torch.zeros(4, dtype=torch.bool),
        "num_evaluations": 0,
    }
    opinion = Estimate(torch.tensor([-0.1, -5.0, -0.1, -0.03]), torch.full((4,), 0.005), "lower", info)
    value = Estimate(torch.zeros(4), torch.full((4,), 0.005), "lower")
    told = found_more(value, opinion)
    assert "0.10 nats less: one of the two is wrong" in told[0] and told[1:] == ["", "", ""]
    assert found_more(Estimate(value.value, value.stderr, "upper"), opinion) == [""] * 4


@pytest.mark.slow
def test_so_many_modes_that_others_may_be_missing() -> None:
    target = problem("twenty-modes-4").target()
    draws = hmc(target, num_warmup=50, num_draws=50)
    assert bool(draws.info["prior_crowded"].all())
    assert all("so many modes" in flag for flag in bridge(target, draws, num_exchanges=0).flags)
    assert not bool(hmc(SeparateModes(4).target(2), num_draws=20).info["prior_crowded"].any())
