"""The held-out ELBO of programs whose latents have no densities of their own."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.training.evaluate import evaluate

MEANS = torch.tensor([-2.0, 2.0], dtype=torch.float64)


def mixture(x: Tensor) -> None:
    """z from one of two components; which, is summed out. p(z, x) is a mixture of two Gaussians."""
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.Categorical(torch.tensor([0.5, 0.5])))
        z = pyro.sample("z", dist.Normal(MEANS[k], 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def guide(x: Tensor) -> None:
    spread = pyro.param("spread", torch.tensor(0.8), constraint=dist.constraints.positive)
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x / 2, spread))


def test_a_prior_that_depends_on_a_summed_out_site_has_a_kl_but_no_parts() -> None:
    x = torch.tensor([-1.0, 0.5, 2.0])
    target = Target(mixture, guide, x)
    found = evaluate(target, num_samples=50, seed=3)
    z = target.propose(50, seed=3)[0]["z"]  # the draws that it takes, so that sums are the same to rounding
    log_q = dist.Normal(x / 2, 0.8).log_prob(z)
    log_prior = torch.logsumexp(dist.Normal(MEANS, 1.0).log_prob(z.unsqueeze(-1)), -1) - torch.tensor(2.0).log()
    reconstruction = dist.Normal(z, 1.0).log_prob(x)
    assert found.kl_per_dim == {} and found.non_finite == ()
    assert abs(found.kl - (log_q - log_prior).mean().item()) < 1e-12
    assert abs(found.reconstruction - reconstruction.mean().item()) < 1e-12
    assert abs(found.elbo - (reconstruction + log_prior - log_q).mean().item()) < 1e-12
