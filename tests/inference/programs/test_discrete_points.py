"""A point (Delta) of a discrete latent: log q = 0 there. Summed out where it can be, else weighed with a flag."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, bracket, hmc, importance
from elbowroom.inference.programs.structure import ProgramError
from toys.failure_budget import sigmas

PLACES = (-2.0, 2.0)


def mixture(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.Categorical(torch.tensor([0.3, 0.7])))
        z = pyro.sample("z", dist.Normal(torch.tensor(PLACES)[k], 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def nearest(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.Delta((x > 0).long()))
        pyro.sample("z", dist.Normal(0.8 * x + 0.2 * torch.tensor(PLACES)[k], 0.2**0.5))  # the posterior given k


def counted(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.Poisson(3.0))
        z = pyro.sample("z", dist.Normal(k, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def rounded(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.Delta(x.round()))
        pyro.sample("z", dist.Normal(0.8 * x + 0.2 * k, 0.5))


@pytest.mark.slow
def test_finite_values_are_summed_out() -> None:
    """log p(x) is that of all values, for every estimator; the point's own weights are told for what they are."""
    x = torch.tensor([-1.0, 1.2, 3.0])
    parts = torch.tensor([0.3, 0.7]).log() + dist.Normal(torch.tensor(PLACES), 1.25**0.5).log_prob(x[:, None])
    truth, target = parts.logsumexp(1), Target(mixture, nearest, x)
    found = importance(target, num_samples=4000)
    assert bool(((found.value - truth).abs() < sigmas(3) * found.stderr).all())
    assert not any("point" in flag for flag in found.flags)
    both = bracket(target, budget=20)
    torch.testing.assert_close(both.lower.value, truth, rtol=0.0, atol=1e-4)
    assert hmc(target, num_warmup=50, num_draws=50).latents == ["z"]
    # By themselves the weights are those of p(x, k) at the point.
    assert all("point (Delta) of a discrete latent" in caution for caution in target.cautions)
    log_w = target.log_weights(2000)
    at_point = parts.gather(1, (x > 0).long().unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(log_w.exp().mean(0).log(), at_point, rtol=0.0, atol=1e-9)
    assert target.collapsed().cautions == ("", "", "")


def test_values_without_end_are_bounded_and_flagged() -> None:
    x = torch.tensor([1.2, 4.0, 2.6])
    k = torch.arange(60.0)
    truth = (dist.Poisson(3.0).log_prob(k)[:, None] + dist.Normal(k[:, None], 1.25**0.5).log_prob(x)).logsumexp(0)
    at_point = dist.Poisson(3.0).log_prob(x.round()) + dist.Normal(x.round(), 1.25**0.5).log_prob(x)
    target = Target(counted, rounded, x)
    found = importance(target, num_samples=2000)
    assert bool(((found.value - at_point).abs() < sigmas(3) * found.stderr + 1e-6).all())
    assert bool((found.value < truth - 0.3).all()) and found.bound == "lower"
    assert all("more samples cannot tighten" in flag for flag in found.flags)
    both = bracket(target, budget=10)
    assert not bool(both.settled.any()) and all("more samples cannot tighten" in flag for flag in both.flags)


def test_helpers_that_no_latent_carries_are_still_told() -> None:
    """A point does not stand for an auxiliary draw."""

    def loose(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("u", dist.Normal(torch.zeros(len(x)), 1.0), infer={"is_auxiliary": True})
            pyro.sample("k", dist.Delta(x.round()))
            pyro.sample("z", dist.Normal(x, 0.5))

    cautions = Target(counted, loose, torch.tensor([1.2, 4.0])).cautions
    assert all("1 auxiliary" in c or "2 auxiliary" in c for c in cautions)


def test_points_of_continuous_latents_stay_refused() -> None:
    def point(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("k", dist.Delta((x > 0).long()))
            pyro.sample("z", dist.Delta(x))

    with pytest.raises(ProgramError, match=r"'z' is a point mass \(Delta\)"):
        Target(mixture, point, torch.tensor([-1.0, 2.0]))
