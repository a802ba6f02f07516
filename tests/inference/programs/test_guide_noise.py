"""A guide as a map of noise: its density by the change of variables, its inverse, and its Normals moved and widened."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import transforms
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.programs.guide_noise import from_noise, offset_run, offsets_by_site, to_noise, why_no_noise
from toys.programs import data, hierarchical, inner_plate

B, S = 4, 3
Guide = Callable[[Tensor], Any]


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        rate = pyro.sample("rate", dist.LogNormal(0.0, 1.0))
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z.sum(-1) * rate, 1.0), obs=x)


def chained(x: Tensor) -> None:
    """A map of a Normal, then a Normal that depends on it."""
    with pyro.plate("data", len(x)):
        rate = pyro.sample("rate", dist.LogNormal(x / 3, 0.4))
        loc = torch.stack([rate, x * rate], -1)
        pyro.sample("z", dist.Normal(loc, 0.3 + rate.unsqueeze(-1) / 2).to_event(1))


def correlated(x: Tensor) -> None:
    """A Normal with all covariances, which depends on the other site."""
    with pyro.plate("data", len(x)):
        rate = pyro.sample("rate", dist.LogNormal(x / 3, 0.4))
        factor = torch.tensor([[0.8, 0.0], [-0.5, 0.6]])
        pyro.sample("z", dist.MultivariateNormal(torch.stack([rate, -x + 0 * rate], -1), scale_tril=factor))


def flowing(x: Tensor) -> None:
    """Two maps of a Normal, one of which mixes its coordinates."""
    with pyro.plate("data", len(x)):
        pyro.sample("rate", dist.LogNormal(x / 3, 0.4))
        mix = transforms.LowerCholeskyAffine(torch.tensor([1.0, 2.0]), torch.tensor([[1.2, 0.0], [0.7, 0.5]]))
        bend = transforms.ELUTransform()
        base = dist.Normal(torch.stack([x, -x], -1), 0.5).to_event(1)
        pyro.sample("z", dist.TransformedDistribution(base, [bend, mix]))


GUIDES = [chained, correlated, flowing]


def noise_of(target: Target, count: int = S) -> dict[str, Tensor]:
    return {name: torch.randn(count, len(target), *event) for name, event in target.latents.items()}


def normal(noise: dict[str, Tensor]) -> Tensor:
    parts = [-0.5 * (value.square() + math.log(2 * math.pi)) for value in noise.values()]
    return sum(part.reshape(*part.shape[:2], -1).sum(-1) for part in parts)


def pair(guide: Guide) -> Target:
    return Target(model, guide, data(B))


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize("layout", ["plate", "fold", "loop"])
def test_the_density_is_that_of_the_noise_by_the_change_of_variables(guide: Guide, layout: str) -> None:
    target = Target(model, guide, data(B), layout=layout)
    assert not why_no_noise(target)
    noise = noise_of(target)
    z, terms = target.run("guide", from_noise, noise, S)
    torch.testing.assert_close(target.log_guide(z), normal(noise) - terms["log_jacobian"])
    back, _ = target.run("guide", to_noise, z, S)
    for name, value in noise.items():
        torch.testing.assert_close(back[name], value)


@pytest.mark.parametrize("guide", GUIDES)
def test_the_jacobian_is_autograds(guide: Guide) -> None:
    target = pair(guide).select([1])
    noise = torch.cat([value.flatten() for value in noise_of(target, 1).values()])

    def mapped(flat: Tensor) -> Tensor:
        given = {"rate": flat[:1].reshape(1, 1), "z": flat[1:].reshape(1, 1, 2)}
        return torch.cat([value.flatten() for value in target.run("guide", from_noise, given, 1)[0].values()])

    given = {"rate": noise[:1].reshape(1, 1), "z": noise[1:].reshape(1, 1, 2)}
    found = target.run("guide", from_noise, given, 1)[1]["log_jacobian"].squeeze()
    torch.testing.assert_close(found, torch.func.jacrev(mapped)(noise).slogdet().logabsdet)


@pytest.mark.parametrize("guide", GUIDES)
def test_normals_moved_and_widened_are_other_noise_of_the_same_map(guide: Guide) -> None:
    """log q of the moved guide at G(η) is log N(η; δ, e^2γ) − log |det dG/dη|."""
    target = pair(guide)
    shift, widening = torch.randn(B, 3), 0.3 * torch.randn(B, 3)
    offsets = offsets_by_site(target.structure, shift, widening)
    moved = Target(model, lambda x: offset_run(guide, offsets, x), *target.args, layout="plate")
    noise = noise_of(target)
    z, terms = target.run("guide", from_noise, noise, S)
    flat = torch.cat([noise["rate"].unsqueeze(-1), noise["z"]], -1)
    density = dist.Normal(shift, widening.exp()).log_prob(flat).sum(-1)
    torch.testing.assert_close(moved.log_guide(z), density - terms["log_jacobian"], rtol=1e-5, atol=1e-5)
    drawn, log_q = moved.propose(S)
    torch.testing.assert_close(moved.log_guide(drawn), log_q, rtol=1e-5, atol=1e-5)


def test_a_chain_of_sites_beside_other_arguments() -> None:
    target = hierarchical().target()
    noise = noise_of(target)
    z, terms = target.run("guide", from_noise, noise, S)
    torch.testing.assert_close(target.log_guide(z), normal(noise) - terms["log_jacobian"])


def test_guides_that_are_no_such_map_say_why() -> None:
    def heavy(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("rate", dist.LogNormal(x / 3, 0.4))
            pyro.sample("z", dist.StudentT(5.0, torch.stack([x, x], -1)).to_event(1))

    assert why_no_noise(pair(heavy)) == "its site 'z' is neither a Normal nor a map of one"
    assert "plates besides the data's" in why_no_noise(inner_plate().target())


def test_the_guides_parameters_are_not_seen_from_outside() -> None:
    def guide(x: Tensor) -> None:
        chained(x * pyro.param("factor", torch.tensor(1.0)))

    target = pair(guide)
    offsets = offsets_by_site(target.structure, torch.zeros(B, 3), torch.zeros(B, 3))
    assert "factor" not in pyro.poutine.trace(offset_run).get_trace(guide, offsets, *target.args).nodes
