"""Guides that draw in a space of their own (Pyro's AutoGuides): the density at any point is the density at the draw."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import autoguide
from torch import Tensor

from elbowroom.inference import ProgramError, Target, importance
from toys.programs import data, normal_model

S = 6


def mixed_model(y: Tensor) -> None:
    """Positive, real and simplex-valued global latents."""
    scale = pyro.sample("scale", dist.HalfNormal(1.0))
    beta = pyro.sample("beta", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    share = pyro.sample("share", dist.Dirichlet(torch.ones(3)))
    pyro.sample("y", dist.Normal(beta.sum(-1) + share[..., 0], scale), obs=y)


FAMILIES: dict[str, Callable[[Any], Any]] = {
    "AutoNormal": autoguide.AutoNormal,
    "AutoDiagonalNormal": autoguide.AutoDiagonalNormal,
    "AutoMultivariateNormal": autoguide.AutoMultivariateNormal,
    "AutoLowRankMultivariateNormal": autoguide.AutoLowRankMultivariateNormal,
    "AutoIAFNormal": autoguide.AutoIAFNormal,
}


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return FAMILIES[request.param]


def test_the_density_at_the_draws_is_that_of_the_draw(family: Callable[[Any], Any]) -> None:
    target = Target(mixed_model, family(mixed_model), torch.tensor(0.4), plate=None)
    z, log_q = target.propose(S)
    assert {name: tuple(v.shape) for name, v in z.items()} == {"scale": (S, 1), "beta": (S, 1, 2), "share": (S, 1, 3)}
    torch.testing.assert_close(target.log_guide(z), log_q, rtol=1e-10, atol=1e-10)


def test_the_density_is_pyros_own(family: Callable[[Any], Any]) -> None:
    """Sample by sample, replaying Pyro's trace of the guide."""
    guide, y = family(mixed_model), torch.tensor(0.4)
    guide(y)
    target = Target(mixed_model, guide, y, plate=None)
    for _ in range(3):
        trace = poutine.trace(guide).get_trace(y)
        z = {name: trace.nodes[name]["value"][None, None] for name in target.latents}
        assert target.log_guide(z).item() == pytest.approx(trace.log_prob_sum().item(), rel=1e-10)


def test_normal_family_by_hand() -> None:
    """AutoNormal on a positive latent is a LogNormal."""

    def model(y: Tensor) -> None:
        scale = pyro.sample("scale", dist.HalfNormal(1.0))
        pyro.sample("y", dist.Normal(0.0, scale), obs=y)

    guide = autoguide.AutoNormal(model, init_loc_fn=autoguide.init_to_value(values={"scale": torch.tensor(2.0)}))
    target = Target(model, guide, torch.tensor(0.4), plate=None)
    z, log_q = target.propose(S)
    torch.testing.assert_close(log_q, dist.LogNormal(math.log(2.0), 0.1).log_prob(z["scale"]), rtol=1e-10, atol=1e-10)
    with pytest.raises(ProgramError, match=r"by way of .*scale_unconstrained"):
        target.latent_terms(z)


def test_lists_of_guides() -> None:
    guide = autoguide.AutoGuideList(mixed_model)
    guide.append(autoguide.AutoMultivariateNormal(poutine.block(mixed_model, expose=["scale", "beta"])))
    guide.append(autoguide.AutoNormal(poutine.block(mixed_model, expose=["share"])))
    target = Target(mixed_model, guide, torch.tensor(0.4), plate=None)
    z, log_q = target.propose(S)
    torch.testing.assert_close(target.log_guide(z), log_q, rtol=1e-10, atol=1e-10)


def test_local_latents_in_the_data_plate() -> None:
    """AutoNormal factorises over data; its parameters have a row for each datum, so the data cannot be cut."""
    x = data(5)
    guide = autoguide.AutoNormal(normal_model)
    target = Target(normal_model, guide, x)
    z, log_q = target.propose(S)
    by_hand = dist.Normal(guide.median(x)["z"], 0.1).log_prob(z["z"])
    torch.testing.assert_close(log_q, by_hand, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(target.log_guide(z), log_q, rtol=1e-10, atol=1e-10)
    assert not target.sliceable


@pytest.mark.parametrize("name", ["AutoDiagonalNormal", "AutoMultivariateNormal", "AutoIAFNormal"])
def test_a_joint_guide_over_the_data_is_refused(name: str) -> None:
    """Its log q is of all data together; handing it to each datum would count it B times."""
    x = data(5)
    with pytest.raises(ProgramError, match=r"outside the data plate 'data': log q does not split by datum.*AutoNormal"):
        Target(normal_model, FAMILIES[name](normal_model), x)
    whole = Target(normal_model, FAMILIES[name](normal_model), x, plate=None)
    assert whole.log_weights(S).shape == (S, 1)


def test_point_masses_are_refused() -> None:
    for family in (autoguide.AutoDelta, autoguide.AutoLaplaceApproximation):
        with pytest.raises(ProgramError, match=r"point mass \(Delta\).*with spread"):
            Target(mixed_model, family(mixed_model), torch.tensor(0.4), plate=None)


def test_guides_whose_draws_cannot_be_recovered_still_propose() -> None:
    """A user's own auxiliary draw: importance works, log_guide says why it cannot."""
    x = data(5)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            noise = pyro.sample("noise", dist.Normal(0.0, 1.0), infer={"is_auxiliary": True})
            loc = x / 2 + math.sqrt(0.5) * noise
            pyro.sample("z", dist.Delta(loc, log_density=torch.full_like(loc, -math.log(math.sqrt(0.5)))))

    target = Target(normal_model, guide, x)
    assert target.layouts == {"model": "plate", "guide": "plate"}
    estimate = importance(target, num_samples=50)
    torch.testing.assert_close(estimate.value, dist.Normal(0.0, math.sqrt(2.0)).log_prob(x), rtol=1e-10, atol=1e-10)
    with pytest.raises(NotImplementedError, match=r"auxiliary sites \['noise'\].*cannot be recovered"):
        target.log_guide(target.propose(2)[0])
