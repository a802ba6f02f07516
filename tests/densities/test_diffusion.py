"""Diffusions against exact posteriors: with the best v̂ the bound and the flow are log P(x), datum by datum."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from elbowroom.datasets import load
from elbowroom.densities.denoiser import Denoiser, signal_and_noise
from elbowroom.densities.diffusion import Diffusion
from elbowroom.densities.diffusion_bound import denoising_term, level_logits, prior_term, reconstruction_table
from elbowroom.densities.probability_flow import log_density_by_flow
from toys.failure_budget import sigmas

SHARES = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]], dtype=torch.float64)
MEAN, VARIANCE = torch.tensor([0.5, -1.0, 0.0]), torch.tensor([0.04, 1.0, 0.5])


def independent() -> Diffusion:
    """Two values of known shares; the network says nothing at first, so that v̂ is E[v | z]."""
    diffusion = Diffusion(2, 3, hidden=(4,), ends=(-3.0, 8.0))
    diffusion.network.shares.copy_(SHARES)
    return diffusion


def states() -> Tensor:
    return torch.tensor(list(product(range(3), repeat=2)), dtype=torch.float64)


def of_normal_data(z: Tensor, gamma: Tensor) -> Tensor:
    """E[v | z] for v ~ N(MEAN, VARIANCE)."""
    alpha, sigma = (part.unsqueeze(-1) for part in signal_and_noise(gamma))
    mean, variance = MEAN.to(z), VARIANCE.to(z)
    return mean + alpha * variance / (alpha.square() * variance + sigma.square()) * (z - alpha * mean)


def test_the_bound_is_log_p_if_the_guess_is_the_posterior_mean() -> None:
    """Each datum's, not only the mean: then the chain backwards has the law of q, and no room is left."""
    x = states()
    expected = SHARES.log()[0, x[:, 0].long()] + SHARES.log()[1, x[:, 1].long()]
    found = independent().log_prob(x, num_times=40, num_repeats=80)
    assert found.bound == "lower" and bool((found.stderr < 0.15).all())
    assert bool(((found.value - expected).abs() < sigmas(9) * found.stderr + 1e-3).all())  # z_1 is not quite normal


def test_a_worse_guess_has_a_lower_bound() -> None:
    diffusion, x = independent(), states()
    with torch.no_grad():
        diffusion.network.perceptron[-1].bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 1.0]))
    expected = SHARES.log()[0, x[:, 0].long()] + SHARES.log()[1, x[:, 1].long()]
    found = diffusion.log_prob(x, num_times=40, num_repeats=80)
    p = expected.exp()
    assert (p @ (found.value - expected)).item() < -0.05 - 4 * (p.square() @ found.stderr.square()).sqrt().item()


def test_normal_data_have_minus_their_entropy() -> None:
    """E log p(z_0) of the two terms, with z_0 in place of levels: −Σ ½ log 2πe(α_0² s² + σ_0²), less KL at the end."""
    ends, generator = (-7.0, 7.0), torch.Generator().manual_seed(1)
    v = MEAN + VARIANCE.sqrt() * torch.randn(200_000, 3, generator=generator)
    noise, times = torch.randn(200_000, 3, generator=generator), torch.rand(200_000, generator=generator)
    terms = prior_term(v, torch.tensor(7.0)) + denoising_term(of_normal_data, v, times, noise, ends)
    (alpha, sigma), (alpha_1, sigma_1) = (signal_and_noise(torch.tensor(end)) for end in ends)
    entropy_of_noise = 3 / 2 * math.log(2 * math.pi * math.e) + 3 * sigma.log()
    entropy = 0.5 * torch.log(2 * math.pi * math.e * (alpha**2 * VARIANCE + sigma**2)).sum()
    total = alpha_1**2 * VARIANCE + sigma_1**2
    at_the_end = 0.5 * (total + (alpha_1 * MEAN) ** 2 - 1 - total.log()).sum()
    error = (terms.std() / len(terms) ** 0.5).item()
    assert error < 0.03
    assert abs((-terms.mean() - entropy_of_noise + entropy + at_the_end).item()) < sigmas() * error


def test_the_flow_of_normal_data_is_a_normal_density() -> None:
    ends, z = (-5.0, 5.0), torch.randn(6, 3)
    (alpha, sigma), (alpha_1, sigma_1) = (signal_and_noise(torch.tensor(end)) for end in ends)
    first, last = alpha**2 * VARIANCE + sigma**2, alpha_1**2 * VARIANCE + sigma_1**2
    end = alpha_1 * MEAN + (last / first).sqrt() * (z - alpha * MEAN)
    expected = (torch.distributions.Normal(0.0, 1.0).log_prob(end) + 0.5 * (last / first).log()).sum(-1)
    coarse, fine = (log_density_by_flow(of_normal_data, z, ends, steps) for steps in (20, 40))
    torch.testing.assert_close(fine, expected, rtol=0, atol=1e-4)
    shrunk = (coarse - expected).abs().max() / (fine - expected).abs().max()
    assert 8 < shrunk < 32  # order four: 16


def test_the_flow_is_log_p_if_the_guess_is_the_posterior_mean() -> None:
    x = states()
    expected = SHARES.log()[0, x[:, 0].long()] + SHARES.log()[1, x[:, 1].long()]
    diffusion = independent()
    diffusion.ends = (-3.0, 14.0)
    found = diffusion.log_prob(x, method="ode", num_repeats=4, num_steps=60)
    torch.testing.assert_close(found.value, expected, rtol=0, atol=5e-3)  # at every draw, but for the steps
    assert bool((found.stderr < 5e-3).all())


def test_what_is_left_at_the_end_is_a_divergence_of_normals() -> None:
    v = torch.randn(5, 3)
    for last in (-1.0, 0.5, 7.0):
        alpha, sigma = signal_and_noise(torch.tensor(last))
        ends = torch.distributions.Normal(alpha * v, sigma), torch.distributions.Normal(0.0, 1.0)
        expected = torch.distributions.kl_divergence(*ends).sum(-1)
        torch.testing.assert_close(prior_term(v, torch.tensor(last)), expected)


def test_levels_have_probabilities_and_a_mean_logarithm() -> None:
    values, first = torch.linspace(-1, 1, 3), torch.tensor(-1.0)
    z = torch.randn(2000, 2)
    logits = level_logits(z, SHARES, values, first)
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(2000, 2))
    alpha, sigma = signal_and_noise(first)
    table = reconstruction_table(SHARES, values, first)
    for level in range(3):
        drawn = level_logits(alpha * values[level] + sigma * torch.randn(40_000, 2), SHARES, values, first)[..., level]
        error = drawn.std(0) / 200
        assert bool(((drawn.mean(0) - table[:, level]).abs() < sigmas(6) * error).all())


def test_draws_have_the_shares_of_the_levels() -> None:
    x = independent().sample(3000, seed=2, num_steps=60)
    seen = torch.stack([(x == level).double().mean(0) for level in range(3)], -1)
    assert bool(((seen - SHARES).abs() < sigmas(6) * (SHARES * (1 - SHARES) / 3000).sqrt() + 0.01).all())


def test_shares_are_those_of_the_data_and_one_datum_more() -> None:
    network = Denoiser(2, 3, (4,))
    network.count(torch.tensor([[0.0, 2.0], [0.0, 1.0], [1.0, 2.0]]))
    torch.testing.assert_close(network.shares * 4, torch.tensor([[2, 1, 0], [0, 1, 2]]) + 1 / 3)
    mean, variance = network.moments()
    torch.testing.assert_close(mean, torch.tensor([-0.5, 0.5]))
    torch.testing.assert_close(variance, network.shares @ torch.tensor([1.0, 0.0, 1.0]) - 0.25)


def test_the_network_is_a_running_mean_and_fitted_afterwards() -> None:
    x = torch.tensor([[0.0, 0.0], [2.0, 2.0]]).repeat(20, 1)
    slow, quick = (
        Diffusion(2, 3, hidden=(4,)).fit(x, num_epochs=3, batch_size=10, average_over=n, schedule="constant")
        for n in (10**6, 1)
    )
    assert all(parameter.requires_grad for parameter in slow.parameters())
    moved = [d.network.perceptron[-1].weight.abs().mean() for d in (slow, quick)]
    assert 0 < moved[0] < moved[1]
    assert slow.num_parameters == sum(p.numel() for p in Denoiser(2, 3, (4,)).parameters())


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ends\[1\] must be a number above -7 and finite, got -8.0"):
        Diffusion(2, ends=(-7.0, -8.0))
    with pytest.raises(ValueError, match="method: got 'sde', expected one of 'bound', 'ode'"):
        independent().log_prob(states(), method="sde")
    with pytest.raises(ValueError, match=r"num_repeats: got 1, expected at least 2"):
        independent().log_prob(states(), num_repeats=1)


@pytest.mark.slow
def test_digits_and_the_flow_of_the_same_network() -> None:
    """The bar is what a diffusion with a linear skip reached, with some room; both methods are within two nats."""
    torch.set_default_dtype(torch.float32)
    digits = load("digits", binarize="none")
    train, validation, test = ((digits.split(name) * 16).round() for name in ("train", "validation", "test"))
    torch.manual_seed(0)
    diffusion = Diffusion(64).fit(train, validation, num_epochs=30)
    bound = diffusion.log_prob(test)
    value, error = bound.mean()
    assert value - 3 * error > -112.0 and error < 0.5
    some = test[:30]
    one, other = diffusion.log_prob(some, num_repeats=32), diffusion.log_prob(some, method="ode", num_repeats=2)
    assert abs(one.mean()[0] - other.mean()[0]) < 2.0 + 3 * math.hypot(one.mean()[1], other.mean()[1])


def test_the_network_needs_no_class_of_its_own() -> None:
    """`log_density_by_flow` takes any module that broadcasts, such as one that guesses zero: then div is ½ α² P."""

    class Zero(nn.Module):
        def forward(self, z: Tensor, gamma: Tensor) -> Tensor:
            return 0 * z

    z, ends = torch.randn(4, 2), (-3.0, 3.0)
    variances = [1 / (1 + math.exp(end)) for end in ends]  # dz/dγ = ½ α² z: 1/σ² grows as z² does
    scale = math.sqrt((1 - variances[1]) / (1 - variances[0]))
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(scale * z).sum(-1) + 2 * math.log(scale)
    torch.testing.assert_close(log_density_by_flow(Zero(), z, ends, 60), expected, rtol=0, atol=1e-5)
