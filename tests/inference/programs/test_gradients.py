"""Models that cannot be differentiated in their latents: weighed from below, and told why there is no more."""

import math

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, audit_target, bracket, hmc, importance, latent_use, quadrature
from elbowroom.inference.evidence.second_opinion import is_sent
from toys.failure_budget import sigmas

X = torch.tensor([0.3, -1.0, 2.0])


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(0.5 * x, 0.9))


def simulator(x: Tensor) -> None:
    """A mean that is worked out in NumPy."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
        pyro.sample("x", dist.Normal(torch.as_tensor(np.sin(z.numpy())), 0.5), obs=x)


def half_detached(x: Tensor) -> None:
    """The likelihood has no slope, the prior has: chains walk worse, but to the same place."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
        pyro.sample("x", dist.Normal(z.detach().sin(), 0.5), obs=x)


def log_p() -> Tensor:
    """log ∫ N(z; 0, 1) N(x; sin z, .5) dz, by the trapezoidal rule."""
    z = torch.linspace(-9, 9, 20001)
    joint = dist.Normal(0.0, 1.0).log_prob(z) + dist.Normal(z.sin(), 0.5).log_prob(X.unsqueeze(-1))
    return joint.logsumexp(-1) + math.log(18 / 20000)


def test_importance_and_bracket_answer_from_below() -> None:
    target = Target(simulator, guide, X)
    assert "cannot be differentiated in the latents (Can't call numpy()" in target.no_gradient
    assert target.select([1]).no_gradient == target.no_gradient and not is_sent(target, None)
    estimate, found = importance(target), bracket(target, budget="2e4 evaluations")
    for value, error in ((estimate.value, estimate.stderr), (found.lower.value, found.lower.stderr)):
        assert bool(((value - log_p()).abs() < sigmas(len(X)) * error).all())
    assert found.from_below == target.no_gradient and found.upper.value.tolist() == [math.inf] * len(X)


def test_an_audit_weighs_and_calibrates() -> None:
    target = Target(simulator, guide, X.repeat(3))
    found = audit_target(target, budget="5e5 evaluations", num_simulations=60)
    assert found.calibration is not None and found.latent_use is not None
    assert bool(found.latent_use.sensitivity.isnan().all())
    assert found.skipped == {"examination": target.no_gradient}
    assert "log_p_from_below" in found.numbers and "gap" not in found.numbers


@pytest.mark.parametrize("method", [hmc, quadrature])
def test_what_needs_a_gradient_says_so(method) -> None:
    with pytest.raises(ValueError, match=r"cannot be differentiated in the latents .* importance, bounds"):
        method(Target(simulator, guide, X))


def test_a_density_with_some_slope_is_walked_in() -> None:
    target = Target(half_detached, guide, X)
    assert not target.no_gradient
    assert bool(((quadrature(target).value - log_p()).abs() < 1e-5).all())
    slope = latent_use(Target(half_detached, guide, X.repeat(3))).sensitivity
    assert bool(slope.isnan().all())  # z is felt, but how much is hidden: not zero
