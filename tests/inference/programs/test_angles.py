"""Latent angles: von Mises densities repeat over the whole line, and p(x) is the integral over one period."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, bracket, importance, quadrature
from elbowroom.inference.programs.log_prob import log_prob

X = torch.tensor([0.3, 2.0, -3.0], dtype=torch.float64)


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.VonMises(torch.zeros(()), 1.0))
        pyro.sample("x", dist.Normal(2 * torch.cos(z), 0.5), obs=x)


def vectors(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.VonMises(torch.zeros(1), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(2 * torch.cos(z.squeeze(-1)), 0.5), obs=x)


def guide(x: Tensor) -> None:
    """Normal, as angles drawn by rejection are refused: some of its draws lie outside of the period."""
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(torch.zeros_like(x), 2.0))


def guide_of_vectors(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(torch.zeros(len(x), 1), 2.0).to_event(1))


def evidence() -> Tensor:
    """log p(x) on a fine grid of the period, whose ends are one point."""
    z = torch.arange(-math.pi, math.pi, 2 * math.pi / 4096)
    likelihood = dist.Normal(2 * z.cos()[:, None], 0.5).log_prob(X)
    terms = dist.VonMises(torch.zeros(()), 1.0).log_prob(z)[:, None] + likelihood
    return terms.logsumexp(0) + math.log(2 * math.pi / len(z))


@pytest.mark.slow
@pytest.mark.parametrize("programs", [(model, guide), (vectors, guide_of_vectors)])
def test_the_integral_is_over_one_period(programs: tuple[object, object]) -> None:
    target = Target(*programs, X)
    exact = quadrature(target)
    assert (exact.value - evidence()).abs().max() < 1e-6
    drawn = importance(target, num_samples=20_000, search=False)
    assert ((drawn.value - evidence()).abs() < 5 * drawn.stderr).all()


def test_the_density_is_zero_outside_of_the_period() -> None:
    target = Target(model, guide, X)
    prior, _ = target.log_joint({"z": torch.tensor([[3.0] * 3, [3.3] * 3])})
    assert prior[0].isfinite().all() and prior[1].isneginf().all()
    assert not target.structure.latents["z"].real


@pytest.mark.slow
def test_both_sides_hold_it() -> None:
    found = bracket(Target(model, guide, X[:1]), budget="1e5 evaluations")
    assert abs(float(found.lower.value - evidence()[0])) < 0.05 and abs(float(found.upper.value - evidence()[0])) < 0.05


def test_observed_angles_may_be_of_any_period() -> None:
    def observed(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(()), 1.0))
            pyro.sample("x", dist.VonMises(z, 2.0), obs=x)

    x = torch.tensor([0.3, 0.3 + 2 * math.pi])
    first, second = quadrature(Target(observed, guide, x)).value.tolist()
    assert first == pytest.approx(second, abs=1e-9)


def test_pairs_of_angles_have_all_their_mass_on_one_period() -> None:
    """Also skewed: the density integrates to one there, and is zero elsewhere."""
    pair = dist.SineBivariateVonMises(*map(torch.tensor, (0.3, -0.5, 2.0, 3.0, 1.0)))
    edge = torch.linspace(-math.pi, math.pi, 201)[:-1] + math.pi / 200
    cells = torch.stack(torch.meshgrid(edge, edge, indexing="ij"), -1)
    for fn in (pair, dist.SineSkewed(pair, torch.tensor([0.3, 0.2]))):
        mass = float(log_prob(fn, cells).exp().sum()) * (2 * math.pi / 200) ** 2
        assert abs(mass - 1) < 1e-6, fn
        assert float(log_prob(fn, torch.tensor([4.0, 0.0]))) == -math.inf
