"""Weighted points: how many there are in effect, tempering, resampling, and what they foretell of jumps."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.population import Population, from_guide, from_mixture, from_prior
from elbowroom.inference.target import Target
from toys.failure_budget import sigmas
from toys.programs import data, gamma_guide, gamma_model, normal_evidence, normal_guide, normal_model

NONE = -math.inf


def population(num_points: int = 60, num_data: int = 4, spread: float = 2.0) -> Population:
    """Weights that grow wilder with the datum; the last points of the last datum have none."""
    log_w = spread * data(num_points, num_data, seed=3) * torch.arange(1.0, num_data + 1)
    log_w[-5:, -1] = NONE
    return Population(data(num_points, num_data, 2, seed=4), log_w)


def test_effective_number_of_points() -> None:
    pool = population()
    w = pool.log_w.exp()
    torch.testing.assert_close(pool.ess, w.sum(0).square() / w.square().sum(0))
    same = Population(pool.u, torch.full_like(pool.log_w, -700.0))
    torch.testing.assert_close(same.ess, torch.full((4,), 60.0))
    nothing = Population(pool.u, torch.full_like(pool.log_w, NONE))
    assert bool((nothing.ess == 0).all())


@settings(max_examples=25, deadline=None)
@given(st.floats(1.5, 50), st.floats(0.1, 200))
def test_tempering_keeps_as_much_of_the_weights_as_leaves_enough(least: float, spread: float) -> None:
    pool = population(spread=spread)
    tempered = pool.tempered(least)
    power = (tempered.log_w[:-5] / pool.log_w[:-5]).median(0).values
    torch.testing.assert_close(tempered.log_w[:-5], power * pool.log_w[:-5], rtol=1e-5, atol=1e-9)
    assert bool((tempered.ess >= least * (1 - 1e-9)).all()) and bool((power <= 1 + 1e-12).all())
    more = Population(pool.u, torch.where(pool.log_w.isneginf(), NONE, (power + 1e-6) * pool.log_w))
    assert bool(((more.ess < least * (1 + 1e-4)) | (power >= 1)).all())  # the largest such power
    enough = pool.ess >= least
    assert torch.equal(tempered.log_w[:, enough], pool.log_w[:, enough])
    assert bool(tempered.log_w[-5:, -1].isneginf().all())


def test_where_too_few_points_have_weight_all_count_alike() -> None:
    pool = population()
    few = Population(pool.u, torch.where(torch.arange(60)[:, None] < 10, pool.log_w, NONE))
    assert bool((few.tempered(20.0).log_w == 0).all())
    nothing = Population(pool.u, torch.full_like(pool.log_w, NONE)).tempered(20.0)
    torch.testing.assert_close(nothing.resampled(60, torch.full((4,), 0.5)), pool.u)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.floats(0.0, 30.0), st.integers(0, 5))
def test_acceptance_is_the_sum_over_all_pairs(num_points: int, spread: float, none: int) -> None:
    log_w = spread * data(num_points, 3)
    log_w[: min(none, num_points - 1)] = NONE
    share = log_w.softmax(0)
    brute = torch.minimum(share.unsqueeze(0), share.unsqueeze(1)).sum((0, 1)) / num_points
    pool = Population(data(num_points, 3, 2), log_w)
    torch.testing.assert_close(pool.acceptance, brute)
    nothing = Population(pool.u, torch.full_like(log_w, NONE))
    assert bool((nothing.acceptance == 0).all())


def test_acceptance_is_what_jumps_then_have() -> None:
    """Target N(0, 1), proposal N(0, 2²): E min(1, w′/w) = 2 atan(1/2) · 2 / π for these scales, by symmetry."""
    u = 2 * data(200_000, 1, 1)
    log_w = -0.5 * u.square() * (1 - 0.25)
    expected = 2 * (1 - 2 / math.pi * math.atan(2.0))
    # P(w(z′) < w(z)) twice, with z of the target and z′ of the proposal: |2 e′| < |e| has probability 2/π atan(1/2).
    assert abs(Population(u, log_w[..., 0]).acceptance - expected) < 0.01


def test_two_samples_joined_count_by_half_each() -> None:
    first, second = population(40), population(60)
    torch.manual_seed(1)
    both = first.joined(second)
    assert both.u.shape == (100, 4, 2)
    mean = (both.log_w.exp().unsqueeze(-1) * both.u).sum(0) / both.log_w.exp().sum(0).unsqueeze(-1)
    parts = [(p.log_w.exp().mean(0), (p.log_w.exp().unsqueeze(-1) * p.u).mean(0)) for p in (first, second)]
    total = sum(w for w, _ in parts)
    torch.testing.assert_close(mean, sum(wu for _, wu in parts) / total.unsqueeze(-1))


def test_systematic_resampling_is_unbiased() -> None:
    """Each point is drawn ⌊n w̄⌋ or ⌈n w̄⌉ times, and n w̄ times on average over the uniform."""
    pool = population(30, 3)
    named = Population(torch.arange(30.0)[:, None, None].expand(30, 3, 1), pool.log_w)
    count, tries = 50, 400
    drawn = torch.zeros(30, 3)
    for n in range(tries):
        index = named.resampled(count, torch.full((3,), (n + 0.5) / tries)).squeeze(-1).long()
        times = torch.zeros(30, 3).scatter_add(0, index, torch.ones(count, 3))
        expected = count * pool.log_w.softmax(0)
        assert bool(((times - expected).abs() < 1 + 1e-9).all())
        drawn += times / tries
    # A grid of uniforms integrates a step function of width 1 to within a step of the grid.
    torch.testing.assert_close(drawn, count * pool.log_w.softmax(0), rtol=0, atol=1.01 / tries)


def test_resampling_where_nothing_has_weight_keeps_the_order() -> None:
    pool = population(30, 3)
    nothing = Population(pool.u, torch.full_like(pool.log_w, NONE))
    torch.testing.assert_close(nothing.resampled(30, torch.full((3,), 0.5)), pool.u)
    assert nothing.resampled(11, torch.zeros(3)).shape == (11, 3, 2)


def test_points_without_weight_are_not_resampled() -> None:
    pool = population()
    marked = Population(pool.log_w.isneginf().double().unsqueeze(-1), pool.log_w)
    assert not bool(marked.resampled(500, torch.tensor([0.0, 0.3, 0.7, 1e-9])).any())


@pytest.mark.parametrize("start", ["guide", "prior", "mixture"])
def test_weights_have_the_evidence_as_their_mean(start: str) -> None:
    """In constrained and unconstrained coordinates: a missing Jacobian or prior would move the mean."""
    x, count = data(3), torch.tensor([0.0, 2.0, 7.0])
    negative_binomial = torch.distributions.NegativeBinomial(torch.full((3,), 2.0), torch.tensor(2 / 3.0))
    for target, evidence in (
        (Target(normal_model, normal_guide(1.3), x), normal_evidence(x)),
        (Target(gamma_model, gamma_guide, count), negative_binomial.log_prob(count)),
    ):
        coordinates, numbers = Coordinates.of(target), RandomNumbers(target, 3)
        pool = from_guide(coordinates, 4000, 1)
        if start == "prior":
            pool = from_prior(coordinates, 4000, 1)
        elif start == "mixture":
            points = pool.resampled(512, torch.full((3,), 0.5))
            pool = from_mixture(Mixture.fit(points), numbers, "test", 4000, coordinates.log_joint)
        ratio = (pool.log_w - evidence).exp()
        assert pool.u.shape == (4000, 3, 1)
        assert ((ratio.mean(0) - 1) / (ratio.std(0) / math.sqrt(4000))).abs().max() < sigmas(18)
        assert ratio.std(0).max() < 8


def test_draws_that_are_not_finite_weigh_nothing_and_stand_at_the_best_one() -> None:
    x = torch.tensor([0.5, -1.0])
    target = Target(normal_model, normal_guide(0.9), x)
    coordinates, numbers = Coordinates.of(target), RandomNumbers(target, 0)
    mixture = Mixture.fit(data(512, 2, 1))

    def log_joint(u: Tensor) -> Tensor:
        value = coordinates.log_joint(u)
        return torch.where(u[..., 0] > 0.5, math.nan, torch.where(u[..., 0] < -1, math.inf, value))

    pool = from_mixture(mixture, numbers, "test", 300, log_joint)
    out = (pool.u[..., 0] > 0.5) | (pool.u[..., 0] < -1)
    assert torch.equal(pool.log_w.isneginf(), out) and bool(out.any(0).all())
    broken = Mixture(mixture.log_share, mixture.mean * torch.tensor([math.nan, 1.0])[:, None, None], *_rest(mixture))
    pool = from_mixture(broken, numbers, "test", 300, coordinates.log_joint)
    assert bool(pool.u.isfinite().all()) and bool((pool.ess[:1] == 0).all()) and pool.ess[1] > 10


def _rest(mixture: Mixture) -> tuple[Tensor, Tensor]:
    return mixture.factor, mixture.inverse
