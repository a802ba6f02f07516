"""The rung of flows: an invertible map with its Jacobian, exact bent posteriors, and members as a target."""

from functools import cache

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, decompose, importance
from elbowroom.inference.families.bend import Bend
from elbowroom.inference.families.bent import BentFamily, joined
from elbowroom.inference.families.family import Family
from elbowroom.inference.gap import Decomposition
from elbowroom.reference import problem

B = 3
GAUSSIANS = ("mean-field", "full covariance")


def some_bend(dim: int, size: float = 0.4) -> Bend:
    """Bends far from the identity, of data that differ."""
    torch.manual_seed(1)
    factor = torch.randn(B, dim, dim, dtype=torch.float64).tril(-1) * 0.5 + 1.5 * torch.eye(dim, dtype=torch.float64)
    straight = Bend.identity(torch.randn(B, dim, dtype=torch.float64), factor)
    moved = (value + size * torch.randn_like(value) for value in straight.tensors[2:])
    return Bend(straight.centre, straight.factor, *moved)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_a_bend_and_its_inverse_are_one_map_with_its_jacobian(dim: int) -> None:
    bend, u = some_bend(dim), torch.randn(7, B, dim, dtype=torch.float64)
    v, log_det = bend.forward(u)
    again, same = bend.inverse(v)
    torch.testing.assert_close(again, u, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(same, log_det, rtol=1e-8, atol=1e-8)
    jacobian = torch.autograd.functional.jacobian(lambda x: bend.forward(x.expand(1, B, dim))[0][0, 1], u[0, 1])
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det[0, 1])


def test_without_parameters_nothing_is_bent() -> None:
    u = torch.randn(4, B, 2, dtype=torch.float64)
    identity = Bend.identity(u[0], torch.eye(2, dtype=torch.float64).expand(B, 2, 2))
    v, log_det = identity.forward(u)
    torch.testing.assert_close(v, u)
    torch.testing.assert_close(log_det, torch.zeros_like(log_det))


def test_bent_members_integrate_to_one() -> None:
    centre = torch.zeros(B, 2, dtype=torch.float64)
    family = BentFamily(Family.gaussian(centre, centre + 0.7), some_bend(2, 0.2))
    line, step = torch.linspace(-10, 10, 201, dtype=torch.float64), 0.1
    points = torch.cartesian_prod(line, line).unsqueeze(1).expand(-1, B, -1)
    mass = family.log_density(points).exp().sum(0) * step**2
    torch.testing.assert_close(mass, torch.ones_like(mass), rtol=0, atol=1e-3)


def test_members_of_some_of_the_data_and_of_all() -> None:
    centre = torch.zeros(B, 2, dtype=torch.float64)
    family = BentFamily(Family.gaussian(centre, centre + 0.7), some_bend(2))
    u = torch.randn(4, B, 2, dtype=torch.float64)
    parts = [family.select(torch.tensor([b])) for b in range(B)]
    torch.testing.assert_close(joined(parts).log_density(u), family.log_density(u))
    torch.testing.assert_close(parts[1].log_density(u[:, 1:2]), family.log_density(u)[:, 1:2])


@cache
def banana() -> Decomposition:
    """A posterior bent by a parabola, which no Gaussian follows."""
    return decompose(problem("banana-mean-field").target(), families=[*GAUSSIANS, "flow"])


@pytest.mark.slow
def test_a_flow_follows_a_banana() -> None:
    d, truth = banana(), problem("banana-mean-field").log_evidence
    left = truth - d.ladder["flow"].value
    assert bool((left < 0.03).all()) and bool((left > -4 * d.ladder["flow"].stderr - 1e-3).all())
    assert bool((truth - d.ladder["full covariance"].value > 0.25).all())
    assert d.flags == ("",) * len(d)


@pytest.mark.slow
def test_bent_members_are_a_guide_whose_draws_have_their_density() -> None:
    target = banana().refined.target("flow")
    z, log_q = target.propose(200, seed=3)
    torch.testing.assert_close(target.log_guide(z), log_q, rtol=1e-5, atol=1e-5)
    q = banana().refined.distribution("flow")
    u = torch.stack([z["a"], z["b"]], -1).double()
    torch.testing.assert_close(q.log_prob(u), log_q.double(), rtol=1e-5, atol=1e-5)
    assert q.sample((5,)).shape == (5, len(target), 2)
    known = importance(target, num_samples=2000, seed=1, search=False)
    truth = problem("banana-mean-field").log_evidence
    assert bool(((known.value - truth).abs() < 5 * known.stderr + 1e-3).all())
    assert bool((known.info["elbo"] - banana().ladder["flow"].value < 5 * known.info["elbo_stderr"]).all())


@pytest.mark.slow
def test_a_datum_has_its_member_alone_and_in_company() -> None:
    target = problem("banana-mean-field").target().select(torch.tensor([2]))
    alone = decompose(target, families=[*GAUSSIANS, "flow"]).ladder["flow"]
    torch.testing.assert_close(alone.value, banana().ladder["flow"].value[2:3], rtol=0, atol=1e-6)


def skewed(x: Tensor) -> None:
    """z ~ N(0, 1), x | z ~ Poisson(e^{3z}): a posterior of one latent with a long tail."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0))
        pyro.sample("x", dist.Poisson((3 * z).exp()), obs=x)


def standard(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0))


@pytest.mark.slow
def test_one_latent_is_skewed() -> None:
    target = Target(skewed, standard, torch.tensor([0.0, 1.0]))
    d = decompose(target, families=["mean-field", "flow"])
    left = {name: d.log_p.value - d.ladder[name].value for name in ("mean-field", "flow")}
    assert bool((left["flow"] < 0.2 * left["mean-field"]).all()), left
    assert bool((left["flow"] > -1e-3).all())


@pytest.mark.slow
def test_a_mixture_that_a_bend_does_not_better_stays_as_it_is() -> None:
    d = decompose(problem("mixture-one-normal").target(), families=[*GAUSSIANS, "mixture", "flow"], num_samples=512)
    assert bool((d.ladder["flow"].value >= d.ladder["mixture"].value).all())
    target, mixture = d.refined.target("flow"), d.refined.target("mixture")
    kept = (d.gains["flow"].value == 0).nonzero().flatten()
    assert len(kept)
    z, _ = mixture.propose(20, seed=1)
    torch.testing.assert_close(target.log_guide(z)[:, kept], mixture.log_guide(z)[:, kept], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_what_a_flow_cannot_be() -> None:
    with pytest.raises(ValueError, match="'flow' are densities of all latents together"):
        banana().refined.program("flow")
    with pytest.raises(ValueError, match="in that order"):
        decompose(problem("conjugate-normal").target(), families=["flow", "mixture"])
    assert "bent" in str(banana().refined)
