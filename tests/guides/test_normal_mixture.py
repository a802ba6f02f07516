"""The mixture of Normals: its parts written out, and gradients through its draws."""

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedMixture
from elbowroom.guides.mixture_of_normals import MixtureOfNormals
from toys.failure_budget import sigmas
from toys.richer_guides import D, P, far

B, S = 2, 4000


def test_the_mixture_written_out() -> None:
    guide, x, z = far("normal-mixture"), torch.randn(B, P), torch.randn(7, B, D)
    normal, h = guide.normal.encode(x).base_dist, guide.encoder(x).reshape(B, 3, 1 + 2 * D)
    widths = torch.log(torch.tensor(100.0)) * torch.tanh(h[..., 1 + D :] / torch.log(torch.tensor(100.0)))
    parts = dist.Normal(
        normal.loc[:, None] + normal.scale[:, None] * h[..., 1 : 1 + D], normal.scale[:, None] * widths.exp()
    ).to_event(1)
    expected = dist.MixtureSameFamily(dist.Categorical(logits=h[..., 0]), parts).log_prob(z)
    torch.testing.assert_close(guide.encode(x).log_prob(z), expected)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_the_gradient_through_draws_is_that_of_the_integral(dim: int, scale: float) -> None:
    """∇ E[f(z)] of means, spreads and shares, by draws and by a sum over a lattice; f varies within a component."""
    parameters = [scale * torch.randn(3, dim), scale * (0.4 * torch.randn(3, dim)).exp(), torch.randn(3)]
    for parameter in parameters:
        parameter.requires_grad_(True)

    def mixture() -> MixtureOfNormals:
        locs, scales, logits = parameters
        return MixtureOfNormals(dist.Categorical(logits=logits), dist.Normal(locs, scales).to_event(1))

    def f(z: Tensor) -> Tensor:
        return (z[..., 0] / scale - 0.3).square() + torch.sin(z[..., -1] / scale) * z[..., 0] / scale

    def gradient(of: Tensor) -> Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(of, parameters)])

    line = torch.linspace(-10 * scale, 10 * scale, 201)
    lattice = torch.cartesian_prod(*[line] * dim).reshape(-1, dim)
    exact = gradient((mixture().log_prob(lattice).exp() * f(lattice)).sum() * (line[1] - line[0]) ** dim)
    found = torch.stack([gradient(f(mixture().rsample((5000,))).mean()) for _ in range(20)])
    error = found.std(0) / 20**0.5
    assert (error < 0.1 * exact.abs().max()).all()
    assert ((found.mean(0) - exact).abs() <= 1.3 * sigmas(len(exact)) * error).all()  # the errors are estimates, too


def test_draws_have_the_moments_of_the_mixture() -> None:
    q_z = far("normal-mixture").encode(torch.randn(B, P)).expand((S, B))
    z = q_z.sample()
    error = (q_z.variance[0] / S).sqrt()
    assert ((z.mean(0) - q_z.mean[0]).abs() < sigmas(B * D) * error).all()
    torch.testing.assert_close(z.var(0), q_z.variance[0], rtol=0.2, atol=0.0)


def test_one_component_is_refused() -> None:
    with pytest.raises(ValueError, match="num_components: got 1, expected 2 or more; use AmortizedNormal"):
        AmortizedMixture(P, D, num_components=1)
