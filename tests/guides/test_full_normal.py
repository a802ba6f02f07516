"""The full covariance is the posterior where that is Normal, and a diagonal Normal falls short as it must."""

import math

import pytest
import torch
from torch.nn.functional import softplus

from elbowroom.guides import AmortizedFullNormal
from elbowroom.inference import Target
from elbowroom.reference import problem

RHO = 0.9


def inverse_softplus(value: float) -> float:
    return math.log(math.expm1(value))


def exact_guide() -> AmortizedFullNormal:
    """N(x / 2, [[1, ρ], [ρ, 1]]), the posterior of the problem: L = [[1, 0], [ρ, √(1 − ρ²)]]."""
    guide, least = AmortizedFullNormal(2, 2, (), floor=0.01), math.sqrt(1 - RHO**2)
    moments, below = guide.normal.encoder.layers[-1], guide.encoder[-1]
    with torch.no_grad():
        moments.weight.copy_(torch.cat([torch.eye(2) / 2, torch.zeros(2, 2)]))
        moments.bias.copy_(torch.tensor([0.0, 0.0, inverse_softplus(0.99), inverse_softplus(least - 0.01)]))
        below.weight.zero_()
        below.bias.fill_(RHO / least)
    return guide


def test_the_posterior_of_a_correlated_gaussian_leaves_no_room() -> None:
    reference = problem(f"correlated-gaussian-{RHO}")
    target = Target(reference.model, exact_guide(), *reference.args)
    log_w = target.log_weights(20)
    torch.testing.assert_close(log_w, reference.log_evidence.expand(20, -1), rtol=0.0, atol=1e-9)


def test_the_best_diagonal_normal_leaves_what_the_correlation_says() -> None:
    """Without N, and with s the spreads of one latent given the other, it is the mean-field optimum."""
    reference, guide = problem(f"correlated-gaussian-{RHO}"), exact_guide()
    with torch.no_grad():
        guide.encoder[-1].bias.zero_()
        guide.normal.encoder.layers[-1].bias[2:].fill_(inverse_softplus(math.sqrt(1 - RHO**2) - 0.01))
    q_z = guide.encode(reference.args[0])
    posterior = torch.distributions.MultivariateNormal(reference.args[0] / 2, torch.tensor([[1.0, RHO], [RHO, 1.0]]))
    gap = torch.distributions.kl_divergence(q_z, posterior)
    torch.testing.assert_close(gap, torch.full_like(gap, -0.5 * math.log(1 - RHO**2)))


def test_the_covariance_written_out() -> None:
    guide, x = AmortizedFullNormal(4, 3, (5,), floor=0.1), torch.randn(2, 4)
    q_z = guide.encode(x)
    mean, raw = guide.normal.encoder.layers(x).chunk(2, -1)
    (a, b, c), s = guide.encoder(x).unbind(-1), 0.1 + softplus(raw)
    one, none = torch.ones(2), torch.zeros(2)
    unit = torch.stack([torch.stack(row, -1) for row in ((one, none, none), (a, one, none), (b, c, one))], -2)
    torch.testing.assert_close(q_z.mean, mean)
    torch.testing.assert_close(q_z.covariance_matrix, s.diag_embed() @ unit @ unit.mT @ s.diag_embed())


def test_one_latent_has_no_correlations() -> None:
    with pytest.raises(ValueError, match="latent_dim: got 1, which has no correlations"):
        AmortizedFullNormal(4, 1)
