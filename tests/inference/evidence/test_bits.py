"""Bits per dimension: of models of levels exactly, of densities with the unit of the stored numbers, and as a bound."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor

from elbowroom.datasets import dequantized
from elbowroom.inference import Bits, Estimate, Target, bits_per_dimension, quadrature
from elbowroom.models.likelihoods.discretised_logistic import DiscretisedLogisticVector
from toys.shown import check_shown

LEVELS = 4
SLOPE, SIGMA, MIDDLE = 3.0, 1.5, 6.0


def levels_model(x: Tensor) -> None:
    """z ~ N(0, 1), two values of four levels whose means are ± z / 2."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
        loc = torch.stack((0.5 * z, -0.5 * z), -1)
        pyro.sample("x", DiscretisedLogisticVector(loc, torch.tensor(-1.0), LEVELS), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))


def probability(k: list[float]) -> float:
    """P(x = k) by SciPy, from the difference of logistic distribution functions."""

    def level(value: float, at: float) -> float:
        edges = [(2 * e - LEVELS) / (LEVELS - 1) for e in (value, value + 1)]
        low = 0.0 if value == 0 else special.expit((edges[0] - at) * math.e)
        high = 1.0 if value == LEVELS - 1 else special.expit((edges[1] - at) * math.e)
        return high - low

    def integrand(z: float) -> float:
        return stats.norm.pdf(z) * level(k[0], 0.5 * z) * level(k[1], -0.5 * z)

    return integrate.quad(integrand, -9, 9, epsabs=1e-12)[0]


def test_bits_of_a_discretised_model_are_those_of_its_probabilities() -> None:
    x = torch.cartesian_prod(torch.arange(LEVELS), torch.arange(LEVELS)).double()
    exact = quadrature(Target(levels_model, guide, x))
    found = bits_per_dimension(exact, x)
    expected = torch.tensor([-math.log2(probability(row)) / 2 for row in x.tolist()])
    torch.testing.assert_close(found.value, expected, atol=1e-4, rtol=0)
    assert exact.value.exp().sum().item() == pytest.approx(1.0, abs=1e-6)
    assert found.bound == "exact"


def real_model(x: Tensor) -> None:
    """y ~ N(6, 3² + 1.5²) in the stored numbers, given as y / 16."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
        pyro.sample("x", dist.Normal((MIDDLE + SLOPE * z) / 16, SIGMA / 16), obs=x)


def test_a_density_is_of_the_stored_numbers() -> None:
    k = torch.tensor([2.0, 5.0, 11.0])
    found = bits_per_dimension(quadrature(Target(real_model, guide, k / 16)), 1, scale=1 / 16)
    density = stats.norm(MIDDLE, math.hypot(SLOPE, SIGMA)).logpdf(k.numpy())
    torch.testing.assert_close(found.value, torch.from_numpy(-density / math.log(2)), atol=1e-6, rtol=0)


def test_dequantized_bits_lie_above_those_of_the_integers() -> None:
    """Of 4000 draws of the noise: the mean is E_u[−log2 p(k + u)], by quadrature, and above −log2 P(k)."""
    marginal = stats.norm(MIDDLE, math.hypot(SLOPE, SIGMA))
    for level in (1.0, 7.0):
        y = dequantized(torch.full((4000,), level), 16, seed=1)
        density = torch.from_numpy(marginal.logpdf(16 * y.numpy()) + math.log(16))
        unit = Bits(1, 1 / 16, dequantized=True)
        found = unit.of(density)
        mean = integrate.quad(lambda u, at=level: -marginal.logpdf(at + u) / math.log(2), 0, 1)[0]
        exact = -math.log2(marginal.cdf(level + 1) - marginal.cdf(level))
        assert found.mean().item() == pytest.approx(mean, abs=4 * found.std().item() / 4000**0.5)
        assert mean > exact


@pytest.mark.parametrize(
    ("bound", "plain", "noisy"),
    [("lower", "upper", "upper"), ("upper", "lower", "none"), ("exact", "exact", "upper"), ("none", "none", "none")],
)
def test_what_is_bounded(bound: str, plain: str, noisy: str) -> None:
    estimate = Estimate(torch.tensor([-700.0, -650.0]), torch.tensor([0.1, 0.2]), bound)  # type: ignore[arg-type]
    assert bits_per_dimension(estimate, 784).bound == plain
    found = bits_per_dimension(estimate, 784, scale=1 / 256, dequantized=True)
    assert found.bound == noisy
    check_shown(found)
    text = " ".join(str(found).split())
    assert "(256 to 1)" in text and "one draw of the noise" in text


def test_the_figure_of_a_paper() -> None:
    """−2 500 nats of 784 densities of values in [0, 1]: (2500 + 784 log 256) / (784 log 2) = 12.6."""
    estimate = Estimate(torch.tensor([-2500.0]), torch.tensor([5.434]), "lower")
    found = bits_per_dimension(estimate, torch.zeros(1, 28, 28), scale=1 / 256)
    assert found.value.item() == pytest.approx(2500 / (784 * math.log(2)) + 8, abs=1e-6)
    assert found.stderr.item() == pytest.approx(0.01, abs=1e-4)


def test_refusals() -> None:
    estimate = Estimate(torch.zeros(2), torch.zeros(2), "lower")
    with pytest.raises(ValueError, match="x: got shape"):
        bits_per_dimension(estimate, torch.zeros(3, 4))
    with pytest.raises(ValueError, match="scale"):
        bits_per_dimension(estimate, 4, scale=0.0)
    with pytest.raises(ValueError, match=r"x must be a torch.Tensor .*, or an integer from 1"):
        bits_per_dimension(estimate, 0)
    grey = Estimate(torch.zeros(1), torch.zeros(1), "lower", unnormalised=("grey values",))
    with pytest.raises(ValueError, match="no log-likelihood"):
        bits_per_dimension(grey, 4)
