"""The refined guide as a target: everything that takes a target takes it, cut and in any order."""

import math

import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, anneal, bracket, hmc, importance, quadrature
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.families.family import Family
from elbowroom.inference.gap import RefinedGuide, decompose
from elbowroom.reference import problem
from toys.gap import POSITIVE, Pixels, positive_guide, positive_model

RUNGS = ("mean-field", "full covariance", "mixture")


def positive() -> Target:
    return Target(positive_model, positive_guide, torch.tensor(POSITIVE))


def pixels() -> Target:
    return Pixels().target(5)


MAKERS = {make.__name__: make for make in (positive, pixels)}


def refined(target: Target) -> RefinedGuide:
    return decompose(target, num_samples=64, log_p=importance(target, num_samples=200, search=False)).refined


def within(found: Tensor, truth: Tensor, error: Tensor, sigmas: float = 4.5) -> None:
    assert bool(((found - truth).abs() <= sigmas * error + 1e-6).all()), (found - truth, error)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["conjugate-normal-0.5", pytest.param("ppca-mean-field", marks=pytest.mark.slow)])
def test_the_exact_posterior_has_constant_weights(name: str) -> None:
    known = problem(name)
    found = importance(refined(known.target()).target("full covariance"), num_samples=100)
    torch.testing.assert_close(found.value, known.log_evidence, atol=1e-4, rtol=0)
    assert float(found.stderr.max()) < 1e-3


def test_a_given_posterior_is_exact_to_rounding() -> None:
    known = problem("conjugate-normal-0.5")
    target = known.target()
    family = Family.gaussian(known.mean, known.sd)  # type: ignore[arg-type]
    found = importance(RefinedGuide(target, {"mean-field": family}).target(), num_samples=50)
    assert bool(found.info["constant_weights"].all())
    torch.testing.assert_close(found.value, known.log_evidence, atol=1e-12, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_draws_and_density_agree_with_each_other_and_with_the_family(name: str) -> None:
    guide = refined(MAKERS[name]())
    for rung in RUNGS:
        agrees(guide, rung)


def agrees(guide: RefinedGuide, rung: str) -> None:
    target = guide.target(rung)
    z, log_q = target.propose(4000, seed=2)
    torch.testing.assert_close(target.log_guide(z), log_q, atol=1e-8, rtol=0)
    coordinates = Coordinates.of(target)
    family = guide.families[rung]
    u = coordinates.unconstrain(z)
    torch.testing.assert_close(coordinates.log_guide(u), family.log_density(u), atol=1e-8, rtol=0)
    # Moments of the draws are the family's; E_q[p/q] over a second member is one where they overlap.
    within(u.mean(0), family.mean, u.std(0) / 4000**0.5)
    other = guide.target("mean-field" if rung != "mean-field" else "mixture")
    ratio = (other.log_guide(z) - log_q).exp()
    within(ratio.mean(0), torch.ones(5), ratio.std(0) / 4000**0.5, 6.0)
    d = guide.distribution(rung)
    assert (tuple(d.batch_shape), tuple(d.event_shape)) == ((5,), (coordinates.dim,))
    torch.testing.assert_close(d.log_prob(u), family.log_density(u), atol=1e-9, rtol=0)


def test_a_mixture_is_drawn_in_its_shares() -> None:
    target = pixels()
    share = torch.tensor([[0.2, 0.7, 0.1]]).log().expand(5, -1)
    loc = torch.tensor([[-9.0, 0.0], [0.0, 0.0], [9.0, 3.0]]).expand(5, -1, -1)
    family = Family(share, loc, 0.1 * torch.eye(2).expand(5, 3, 2, 2))
    z, log_q = RefinedGuide(target, {"mixture": family}).target().propose(5000)
    place = z["z"][..., 0].div(9.0).round()
    for k, weight in ((-1, 0.2), (0, 0.7), (1, 0.1)):
        within((place == k).double().mean(0), torch.full((5,), weight), torch.tensor(math.sqrt(0.25 / 5000)))
    torch.testing.assert_close(log_q, family.log_density(z["z"]))


@pytest.mark.slow
def test_members_are_cut_and_ordered_with_the_data() -> None:
    guide = refined(pixels())
    target = guide.target()
    rows = torch.tensor([3, 0, 4])
    part = target.select(rows)
    z, log_q = target.propose(6, seed=1)
    some, log_some = part.propose(6, seed=1)
    torch.testing.assert_close(some["z"], z["z"][:, rows])
    torch.testing.assert_close(log_some, log_q[:, rows])
    torch.testing.assert_close(part.log_guide(some), log_some)
    whole = importance(target, num_samples=300)
    torch.testing.assert_close(importance(part, num_samples=300).value, whole.value[rows])
    cut = importance(target, num_samples=300, memory_bytes=60_000)
    torch.testing.assert_close(cut.value, whole.value)
    more, log_more = target.propose(3, seed=1, start=3)
    torch.testing.assert_close(more["z"], z["z"][3:])
    torch.testing.assert_close(log_more, log_q[3:])


@pytest.mark.slow
def test_every_estimator_takes_it() -> None:
    target = refined(positive()).target()
    truth = quadrature(positive()).value
    exact = quadrature(target)
    torch.testing.assert_close(exact.value, truth, atol=1e-5, rtol=0)
    assert bool((exact.info["kl_q_p"] >= -1e-9).all())
    sampled = importance(target, num_samples=4000)
    within(sampled.value, truth, sampled.stderr)
    annealed = anneal(target, num_steps=16, num_chains=32)
    within(annealed.value, truth, annealed.stderr, 6.0)
    draws = hmc(target, num_draws=200)
    assert not any(draws.flags) or float(draws.convergence.rhat.max()) < 1.05
    within(draws.mean, exact.info["mean"], draws.sd / 10, 4.0)
    both = bracket(target, budget=3.0)
    assert bool((both.lower.value < truth + 5 * both.lower.stderr + 1e-4).all())
    again = decompose(target, num_samples=64)
    assert len(again) == 5


@pytest.mark.slow
def test_rungs_by_name() -> None:
    guide = refined(pixels())
    assert list(guide.families) == list(RUNGS)
    largest, named = guide.target(), guide.target("mixture")
    assert torch.equal(largest.propose(3)[1], named.propose(3)[1])
    for call in (guide.target, guide.distribution):
        with pytest.raises(ValueError, match=r"rung must be one of \['mean-field'"):
            call("flow")
    with pytest.raises(ValueError, match="at least 1"):
        guide.target().propose(0)
