"""Particles from the prior find modes that no guide told of, and an estimate that never saw the guide."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.expedition import NUM_PARTICLES, Expedition, _next, _systematic, explore
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.mcmc.population import Population
from toys.failure_budget import sigmas
from toys.separate_modes import SeparateModes


def sent(target: Target, seed: int = 0) -> Expedition:
    coordinates = Coordinates.of(target)
    return explore(Path(coordinates, "prior"), RandomNumbers(target, seed), coordinates.log_joint)


@pytest.mark.parametrize(("num_latents", "centre"), [(3, 3.0), (4, 6.0), (10, 3.0)])
def test_both_modes_are_found_and_weighed(num_latents: int, centre: float) -> None:
    modes = SeparateModes(num_latents, centre)
    found = sent(modes.target(12))
    left = (found.particles.mean(-1) < 0).double().mean(0)
    assert bool(((left > 0) & (left < 0.6)).all())
    assert found.particles.shape == (NUM_PARTICLES, 12, num_latents) and bool((found.ess > 50).all())
    error = (found.log_evidence - modes.evidence) / found.stderr
    assert float(error.abs().max()) < sigmas(12) + 1  # the delta method's error of a skewed estimate


@pytest.mark.slow
def test_the_estimate_is_unbiased_before_the_logarithm() -> None:
    modes = SeparateModes(4)
    found = sent(modes.target(200))
    ratio = (found.log_evidence - modes.evidence).exp()
    stderr = float(ratio.std() / len(ratio) ** 0.5)
    assert abs(float(ratio.mean()) - 1) < sigmas(1) * stderr and stderr < 0.01


def test_all_eight_modes_of_a_product_of_signs() -> None:
    """x = a · b + noise, three pairs: each posterior has eight modes of equal weight."""

    def model(x: Tensor) -> None:
        zero = torch.zeros_like(x)
        with pyro.plate("data", len(x)):
            a, b = (pyro.sample(name, dist.Normal(zero, 1.0).to_event(1)) for name in "ab")
            pyro.sample("x", dist.Normal(a * b, 0.3).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            for name in "ab":
                pyro.sample(name, dist.Normal(torch.full_like(x, 1.37), 0.4).to_event(1))

    found = sent(Target(model, guide, torch.full((6, 3), 2.0)))
    signs = (found.particles[..., :3] > 0).long() @ torch.tensor([1, 2, 4])
    assert [len(signs[:, b].unique()) for b in range(6)] == [8] * 6


def test_a_datum_is_the_same_in_any_company() -> None:
    """However many stages the others need: data far from the prior need more."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros_like(x), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 0.1).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x, 0.1).to_event(1))

    target = Target(model, guide, torch.tensor([0.1, 5.0, 2.0])[:, None].expand(3, 3) + torch.zeros(3, 3))
    whole, alone = sent(target), sent(target.select([0]))
    assert whole.gradients > alone.gradients
    torch.testing.assert_close(alone.particles, whole.particles[:, :1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(alone.log_evidence, whole.log_evidence[:1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_the_next_temperature_leaves_its_share_effective(share: float) -> None:
    difference = 40 * torch.randn(500, 6) * torch.logspace(-3, 1, 6)
    difference[:5] = -math.inf
    beta = torch.tensor([0.0, 0.5, 0.0, 0.5, 0.0, 0.5], dtype=torch.float64)
    after = _next(difference, beta, share)
    weights = ((after - beta) * difference.clamp_min(-1e30)).softmax(0)
    effective = 1 / weights.square().sum(0) / len(difference)
    assert bool((after >= beta).all()) and bool((effective >= share).all())
    assert float((effective - share)[after < 1].max()) < 0.01 and after[0] == 1


def test_each_orthant_keeps_its_share_of_the_points() -> None:
    """Four modes by signs: resampling changes none of them by more than the rounding of its expected number."""
    signs = torch.randint(0, 2, (400, 5, 2)) * 2.0 - 1
    population = Population(4 * signs + torch.randn(400, 5, 2), torch.randn(400, 5))
    index = _systematic(population, 100, torch.rand(5))
    code = (population.u > 0).double() @ torch.tensor([1.0, 2.0])
    share = population.log_w.softmax(0)
    for b in range(5):
        for mode in range(4):
            expected = 100 * float(share[code[:, b] == mode, b].sum())
            assert abs(int((code[index[:, b], b] == mode).sum()) - expected) < 1 + 1e-9


def test_what_weighs_nothing_beside_the_rest_is_not_heard() -> None:
    modes = SeparateModes(4)
    found = sent(modes.target(3))
    beside: Any = found.beside(found.log_evidence + torch.tensor([-50.0, 1.0, 8.0]))
    assert beside.heard.tolist() == [True, True, False]
