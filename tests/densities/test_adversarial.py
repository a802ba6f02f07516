"""Adversarial networks: the penalty written out, and the program of a generator with noise against closed forms."""

from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from elbowroom.datasets import load
from elbowroom.densities.adversarial import Adversarial
from elbowroom.densities.adversarial_training import discriminator_loss
from elbowroom.densities.discretised_normal import DiscretisedNormal
from elbowroom.inference import Target, bidirectional
from toys.failure_budget import sigmas

WEIGHT = torch.tensor([[0.5, 0.1], [-0.3, 0.4], [0.2, 0.2]], dtype=torch.float64)
BIAS = torch.tensor([0.4, 0.6, 0.5], dtype=torch.float64)


@cache
def linear(sigma: float = 0.2) -> Adversarial:
    """Five levels; G(z) = W z + b."""
    density = Adversarial(3, 5, latent_dim=2, hidden=(4,), sigma=sigma, num_steps=10)
    density.network = nn.Sequential(nn.Linear(2, 3).double())
    with torch.no_grad():
        density.network[0].weight.copy_(WEIGHT), density.network[0].bias.copy_(BIAS)
    return density.double()


def some(num_data: int = 12) -> Tensor:
    return torch.randint(5, (num_data, 3), generator=torch.Generator().manual_seed(3)).double()


def by_quadrature(x: Tensor, sigma: float) -> Tensor:
    """log P(x) of the linear generator by 40 × 40 Gauss–Hermite points over z, from SciPy's distribution function."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    z = torch.cartesian_prod(*(torch.from_numpy(nodes),) * 2)
    log_weight = torch.outer(*(torch.from_numpy(weights / weights.sum()),) * 2).flatten().log()
    mean = (z @ WEIGHT.T + BIAS).numpy()  # [Z, P]
    edges = np.concatenate([[-np.inf], (np.arange(4) + 0.5) / 4, [np.inf]])
    below = stats.norm.cdf((edges[:, None, None] - mean) / sigma)  # [K + 1, Z, P]
    masses = torch.from_numpy(np.diff(below, axis=0)).clamp_min(1e-300).log()
    of_values = torch.stack([masses[x[:, p].long(), :, p] for p in range(3)])  # [P, B, Z]
    return (of_values.sum(0) + log_weight).logsumexp(-1)


def test_the_density_of_a_linear_generator_is_normal() -> None:
    x, density = some(), linear()
    covariance = WEIGHT @ WEIGHT.T + 0.04 * torch.eye(3)
    exact = torch.distributions.MultivariateNormal(BIAS, covariance).log_prob(x / 4)
    found = density.log_prob(x, likelihood="normal", seed=2)
    assert found.bound == "lower" and bool((found.stderr < 1.0).all())
    trusted = torch.tensor([not flag for flag in found.flags])
    assert trusted.sum() >= 8
    assert bool(((found.value - exact).abs()[trusted] < sigmas(12) * found.stderr[trusted] + 0.01).all())


def test_the_probability_of_levels_is_that_of_quadrature() -> None:
    everything = torch.tensor(list(product(range(5), repeat=3)), dtype=torch.float64)
    assert by_quadrature(everything, 0.2).exp().sum().item() == pytest.approx(1, abs=1e-6)
    x = some()
    exact, found = by_quadrature(x, 0.2), linear().log_prob(x)
    trusted = torch.tensor([not flag for flag in found.flags])
    assert trusted.sum() >= 8
    assert bool(((found.value - exact).abs()[trusted] < sigmas(12) * found.stderr[trusted] + 0.01).all())


def test_both_directions_of_annealing_meet_on_simulated_data() -> None:
    density = linear()
    target = Target(*density.program(), some(10))
    both = bidirectional(target, num_steps=20, start="prior")
    width, error = both.mean_width()
    assert -4 * error < width < 0.5
    exact = by_quadrature(both.target.args[0], 0.2)
    assert (both.lower.value - exact).mean() < 4 * both.lower.mean()[1]
    assert (both.upper.value - exact).mean() > -4 * both.upper.mean()[1]


@pytest.mark.slow
def test_the_noise_is_chosen_by_what_data_say() -> None:
    x = linear(0.2).sample(40, seed=1)
    assert linear(0.2).best_sigma(x, (0.05, 0.2, 0.8)) == 0.2


def test_draws_are_those_of_the_program_or_of_the_generator() -> None:
    density = linear()
    x, bare = density.sample(4000, seed=1), density.sample(4000, seed=1, noise=False)
    covariance = WEIGHT @ WEIGHT.T
    edges = torch.tensor([0.125, 0.375, 0.625, 0.875], dtype=torch.float64)
    for drawn, variance in ((x, covariance.diag() + 0.04), (bare, covariance.diag())):
        expected = torch.distributions.Normal(BIAS, variance.sqrt()).cdf(edges[:, None])  # of levels up to k
        seen = torch.stack([(drawn <= level).double().mean(0) for level in range(4)])
        assert bool(((seen - expected).abs() < sigmas(24) * (expected * (1 - expected) / 4000).sqrt()).all())


def test_the_levels_of_a_normal_number_share_its_mass() -> None:
    mean, sigma = torch.tensor([-3.0, 0.1, 0.5, 0.93, 4.0]), torch.tensor(0.15)
    law = DiscretisedNormal(mean.unsqueeze(-1), sigma, 17)
    levels = torch.arange(17.0)
    found = law.log_prob(levels[:, None, None])  # [K, 5]
    torch.testing.assert_close(found.logsumexp(0), torch.zeros(5), rtol=0, atol=1e-12)
    edges = np.concatenate([[-np.inf], (np.arange(16) + 0.5) / 16, [np.inf]])
    below = stats.norm.cdf((edges[:, None] - mean.numpy()) / 0.15)
    for m in (1, 2, 3):  # the others' masses are below what differences of SciPy's resolve
        np.testing.assert_allclose(found[:, m].exp(), np.diff(below[:, m]), rtol=1e-7, atol=1e-15)


def test_levels_far_in_a_tail_have_gradients() -> None:
    mean = torch.tensor([-3.0, 0.1, 0.5, 0.93, 4.0], requires_grad=True)
    levels = torch.arange(17.0)[:, None, None]
    found = DiscretisedNormal(mean.unsqueeze(-1), torch.tensor(1e-3), 17).log_prob(levels)  # [K, 5]
    assert bool(found.isfinite().all()) and found.min() < -1e6
    (slope,) = torch.autograd.grad(found.sum(), mean)
    assert bool(slope.isfinite().all())


def test_it_is_expanded_and_checked_as_distributions_are() -> None:
    law = DiscretisedNormal(torch.rand(3, 2), torch.tensor(0.2), 4, validate_args=True)
    wide = law.expand([5, 3])
    assert wide.batch_shape == (5, 3) and wide.event_shape == (2,)
    assert wide.sample().shape == (5, 3, 2) and wide.log_prob(torch.ones(2)).shape == (5, 3)
    with pytest.raises(ValueError, match="support"):
        law.log_prob(torch.full((3, 2), 0.5))


def test_the_penalty_of_a_linear_discriminator_is_its_slope() -> None:
    """R1: ½ r |w|² for D(x) = w·x + c, and only at data, not at draws."""
    density = Adversarial(3, 5, hidden=())
    real, drawn = torch.rand(7, 3), torch.rand(7, 3)
    said, of_drawn = density.discriminator(real), density.discriminator(drawn)
    plain = (1 + (-said).exp()).log().mean() + (1 + of_drawn.exp()).log().mean()
    slope = density.discriminator[0].weight.square().sum()
    torch.testing.assert_close(discriminator_loss(density.discriminator, real, drawn, 3.0), plain + 1.5 * slope)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"likelihood.* got 'gamma', expected one of 'levels', 'normal'"):
        linear().program(likelihood="gamma")
    with pytest.raises(ValueError, match=r"sigma.* got 0.0"):
        Adversarial(3, sigma=0.0)
    with pytest.raises(ValueError, match=r"penalty.* got -1.0"):
        linear().fit(some(), penalty=-1.0)


@pytest.mark.slow
def test_digits_from_the_prior_and_both_ways() -> None:
    torch.set_default_dtype(torch.float32)
    digits = load("digits", binarize="none")
    train, _, test = ((digits.split(name) * 16).round() for name in ("train", "validation", "test"))
    torch.manual_seed(0)
    density = Adversarial(64).fit(train, num_epochs=100)
    found = density.log_prob(test[:40], likelihood="normal", sigma=0.15)
    assert 5 < found.mean()[0] < 30  # a VAE of as many latents has 28 to 31 in this unit
    assert sum(map(bool, found.flags)) < 35
    both = bidirectional(Target(*density.program(0.2), test[:30]), num_steps=200, start="prior")
    assert both.mean_width()[0] < 1.0 + 2 * both.mean_width()[1]
