"""The mixture of Normals: its parts written out, and gradients of the ELBO through its draws."""

import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedMixture
from elbowroom.models import VAE
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


def test_the_gradient_through_draws_is_that_of_the_integral() -> None:
    """∇ E_q[log p(x, z) − log q(z)] of every parameter by draws, and by a sum over a lattice."""
    model, guide = VAE(P, D, (4,)), far("normal-mixture", seed=3)
    x = torch.ones(1, P)
    parameters = list(guide.parameters())

    def integrand(z: Tensor, q_z: dist.TorchDistribution) -> Tensor:
        log_p = dist.Normal(0.0, 1.0).log_prob(z).sum(-1) + model.decode(z).log_prob(x)
        return log_p - q_z.log_prob(z)

    line = torch.linspace(-8, 8, 161)
    lattice, q_z = torch.cartesian_prod(line, line).unsqueeze(1), guide.encode(x)
    exact_elbo = (q_z.log_prob(lattice).exp() * integrand(lattice, q_z)).sum() * (line[1] - line[0]) ** 2
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(exact_elbo, parameters)])
    batches = []
    for _ in range(40):
        q_z = guide.encode(x.expand(S // 40, P))
        elbo = integrand(q_z.rsample(), q_z).mean()
        batches.append(torch.cat([g.flatten() for g in torch.autograd.grad(elbo, parameters)]))
    found = torch.stack(batches)
    error = found.std(0) / 40**0.5
    assert ((found.mean(0) - exact).abs() <= 1.5 * sigmas(len(exact)) * error + 1e-6).all()


@pytest.mark.parametrize("argument", ["latent_dim", "num_components"])
def test_one_component_and_one_latent_are_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}: got 1, expected 2 or more; use AmortizedNormal"):
        AmortizedMixture(**{"data_dim": P, "latent_dim": D, argument: 1})
