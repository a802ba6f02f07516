"""Quadrature against closed forms: evidence, moments, quantiles and divergences, one mode or several."""

import math

import pyro
import pyro.distributions as dist
import pytest
import scipy.integrate
import scipy.stats
import torch
from torch import Tensor

from elbowroom.inference import ProgramError, Target, quadrature


def conjugate(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def narrow_guide(scale: float):
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, scale * math.sqrt(0.5)))

    return guide


@pytest.mark.parametrize("scale", [0.5, 0.9])
def test_conjugate_normal_in_closed_form(scale: float) -> None:
    x = torch.tensor([-2.0, 0.3, 1.7, 4.0])
    exact = quadrature(Target(conjugate, narrow_guide(scale), x))
    sd = math.sqrt(0.5)
    truth = dist.Normal(0.0, math.sqrt(2.0)).log_prob(x)
    assert exact.bound == "exact"
    assert exact.flags == ("",) * 4
    torch.testing.assert_close(exact.value, truth, atol=1e-9, rtol=0)
    torch.testing.assert_close(exact.info["mean"][:, 0], x / 2, atol=1e-8, rtol=0)
    torch.testing.assert_close(exact.info["sd"][:, 0], torch.full((4,), sd), atol=1e-7, rtol=0)
    for level, found in zip(exact.info["levels"], exact.info["quantiles"][:, :, 0], strict=True):
        torch.testing.assert_close(found, x / 2 + sd * scipy.stats.norm.ppf(level), atol=1e-6, rtol=0)
    reverse = torch.full((4,), -math.log(scale) + (scale**2 - 1) / 2)
    forward = torch.full((4,), math.log(scale) + (scale**-2 - 1) / 2)
    torch.testing.assert_close(exact.info["kl_q_p"], reverse, atol=1e-8, rtol=0)
    torch.testing.assert_close(exact.info["kl_p_q"], forward, atol=1e-8, rtol=0)
    torch.testing.assert_close(exact.info["elbo"], truth - reverse, atol=1e-8, rtol=0)
    torch.testing.assert_close(exact.info["guide_sd"][:, 0], torch.full((4,), scale * sd), atol=1e-7, rtol=0)


def test_a_prior_with_a_trainable_parameter_is_integrated_like_any_other() -> None:
    loc = torch.tensor(0.5, requires_grad=True)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(loc, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    x = torch.tensor([-2.0, 0.3])
    exact = quadrature(Target(model, narrow_guide(0.9), x))
    truth = dist.Normal(0.5, math.sqrt(2.0)).log_prob(x)
    torch.testing.assert_close(exact.value, truth, atol=1e-9, rtol=0)


@pytest.mark.parametrize("dim", [2, 3])
def test_strongly_correlated_gaussian_posterior(dim: int) -> None:
    torch.manual_seed(1)
    loadings = torch.randn(dim, 5)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(dim), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ loadings, 0.3).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(len(x), dim), 1.0).to_event(1))

    x = torch.randn(3, dim) @ loadings + 0.3 * torch.randn(3, 5)
    exact = quadrature(Target(model, guide, x))
    marginal = dist.MultivariateNormal(torch.zeros(5), loadings.T @ loadings + 0.09 * torch.eye(5))
    precision = torch.eye(dim) + loadings @ loadings.T / 0.09
    torch.testing.assert_close(exact.value, marginal.log_prob(x), atol=1e-6, rtol=0)
    mean = x @ loadings.T / 0.09 @ precision.inverse()
    torch.testing.assert_close(exact.info["mean"], mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(exact.info["mode"], mean, atol=1e-6, rtol=0)
    torch.testing.assert_close(exact.info["covariance"][0], precision.inverse(), atol=1e-7, rtol=0)


def ring(x: Tensor) -> None:
    """x ~ N(|z|, 0.05²): the posterior is a ring, which no Gaussian guide can cover."""
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z.square().sum(-1).sqrt(), 0.05), obs=x)


def corner_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(torch.ones(len(x), 2), 0.1).to_event(1))


def test_posterior_on_a_ring_that_the_guide_hardly_touches() -> None:
    x = torch.tensor([0.5, 1.0, 2.0])
    exact = quadrature(Target(ring, corner_guide, x))
    for value, found in zip(x.tolist(), exact.value.tolist(), strict=True):
        norm = scipy.stats.norm(value, 0.05)
        total, _ = scipy.integrate.quad(
            lambda r, norm=norm: r * math.exp(-r * r / 2) * norm.pdf(r), 0, 8, points=[value], limit=200
        )
        assert found == pytest.approx(math.log(total), abs=1e-6)
    torch.testing.assert_close(exact.info["mean"], torch.zeros(3, 2), atol=1e-6, rtol=0)
    assert bool((exact.info["num_modes"] > 1).all())


def two_modes(weight: float, separation: float):
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(torch.tensor([weight, 1 - weight])))
            z = pyro.sample("z", dist.Normal(torch.tensor([-separation, separation])[k], 0.1))
            pyro.sample("x", dist.Normal(torch.zeros_like(z), 1.0), obs=x)

    return model


def test_two_far_modes_of_which_the_guide_sees_one() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.full((len(x),), 3.0), 0.1))

    x = torch.tensor([0.4, -1.0])
    exact = quadrature(Target(two_modes(0.1, 3.0), guide, x))
    torch.testing.assert_close(exact.value, dist.Normal(0.0, 1.0).log_prob(x), atol=1e-6, rtol=0)
    torch.testing.assert_close(exact.info["mean"][:, 0], torch.full((2,), 3 * 0.8), atol=1e-6, rtol=0)
    torch.testing.assert_close(exact.info["kl_q_p"], torch.full((2,), -math.log(0.9)), atol=1e-5, rtol=0)
    assert exact.info["num_modes"].tolist() == [2, 2]


def test_constrained_global_latents_in_closed_form() -> None:
    def model(count: Tensor) -> None:
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        p = pyro.sample("p", dist.Beta(2.0, 3.0))
        pyro.sample("count", dist.Poisson(rate), obs=count)
        pyro.sample("hit", dist.Bernoulli(p), obs=torch.tensor(1.0))

    def guide(count: Tensor) -> None:
        pyro.sample("rate", dist.LogNormal(0.0, 0.5))
        pyro.sample("p", dist.Beta(3.0, 3.0))

    exact = quadrature(Target(model, guide, torch.tensor(3.0), plate=None))
    truth = scipy.stats.nbinom(2, 0.5).logpmf(3) + math.log(2 / 5)
    assert exact.value.item() == pytest.approx(truth, abs=1e-7)
    assert exact.info["latents"] == ["rate", "p"]
    posteriors = (scipy.stats.gamma(5, scale=0.5), scipy.stats.beta(3, 3))
    for n, posterior in enumerate(posteriors):
        assert exact.info["mean"][0, n].item() == pytest.approx(posterior.mean(), abs=1e-6)
        assert exact.info["sd"][0, n].item() == pytest.approx(posterior.std(), abs=1e-6)
        for q, level in enumerate(exact.info["levels"]):
            assert exact.info["quantiles"][q, 0, n].item() == pytest.approx(posterior.ppf(level), abs=1e-5)


def test_exact_guide_on_constrained_latents_leaves_no_room() -> None:
    def model(count: Tensor) -> None:
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        pyro.sample("count", dist.Poisson(rate), obs=count)

    def guide(count: Tensor) -> None:
        pyro.sample("rate", dist.Gamma(5.0, 2.0))

    exact = quadrature(Target(model, guide, torch.tensor(3.0), plate=None))
    assert exact.info["kl_q_p"].item() == pytest.approx(0, abs=1e-6)
    assert exact.info["kl_p_q"].item() == pytest.approx(0, abs=1e-6)
    assert exact.info["elbo"].item() == pytest.approx(exact.value.item(), abs=1e-6)


def test_simplex_latent_has_moments_of_the_dirichlet() -> None:
    def model(x: Tensor) -> None:
        p = pyro.sample("p", dist.Dirichlet(torch.tensor([2.0, 3.0, 4.0])))
        with pyro.plate("draws", len(x)):
            pyro.sample("x", dist.Categorical(p), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("p", dist.Dirichlet(torch.tensor([3.0, 3.0, 3.0])))

    x = torch.tensor([0, 1, 1, 2])
    exact = quadrature(Target(model, guide, x, plate=None))
    posterior = torch.tensor([3.0, 5.0, 5.0])
    prior = torch.tensor([2.0, 3.0, 4.0])

    def log_beta(a: Tensor) -> Tensor:
        return a.lgamma().sum() - a.sum().lgamma()

    assert exact.value.item() == pytest.approx((log_beta(posterior) - log_beta(prior)).item(), abs=1e-6)
    torch.testing.assert_close(exact.info["mean"][0], posterior / posterior.sum(), atol=1e-6, rtol=0)


def test_no_continuous_latent_needs_no_lattice() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(torch.tensor([0.3, 0.7])))
            pyro.sample("x", dist.Normal(torch.tensor([-1.0, 2.0])[k], 1.0), obs=x)

    x = torch.tensor([0.1, -2.0])
    truth = dist.MixtureSameFamily(
        dist.Categorical(torch.tensor([0.3, 0.7])), dist.Normal(torch.tensor([-1.0, 2.0]), 1.0)
    ).log_prob(x)
    torch.testing.assert_close(quadrature(Target(model, lambda x: None, x)).value, truth, atol=1e-12, rtol=0)


def test_four_latents_are_refused_with_a_reason() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(4), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z.sum(-1), 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(len(x), 4), 1.0).to_event(1))

    with pytest.raises(ValueError, match=r"at most 3 latent dimensions, this target has 4.*importance"):
        quadrature(Target(model, guide, torch.zeros(2)))


@pytest.mark.slow
def test_improper_posterior_is_flagged_not_answered_quietly() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(torch.zeros_like(z), 1.0), obs=x)
            pyro.factor("undo", -dist.Normal(0.0, 1.0).log_prob(z))  # a flat prior: no evidence exists

    exact = quadrature(Target(model, narrow_guide(1.0), torch.tensor([0.0])), max_points=3000)
    assert "improper" in exact.flags[0]


def test_unreached_tolerance_is_flagged() -> None:
    def model(x: Tensor) -> None:  # a kinked density: the lattice converges slowly
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Laplace(z.abs().sqrt(), 0.01), obs=x)

    exact = quadrature(Target(model, narrow_guide(1.0), torch.tensor([1.0])), tolerance=1e-13, max_points=2000)
    assert "differ by" in exact.flags[0]
    assert exact.stderr.item() > 1e-13


def test_a_discrete_latent_of_any_number_of_values_is_refused() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Poisson(0.5))
            pyro.sample("x", dist.Normal(k, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("k", dist.Poisson(0.5))

    with pytest.raises(ValueError, match=r"the guide draws the site 'k'.*cannot be listed to be summed out"):
        quadrature(Target(model, guide, torch.zeros(2)))
    with pytest.raises(ProgramError):
        quadrature(Target(model, narrow_guide(1.0), torch.zeros(2)))


def test_a_datum_with_nan_densities_is_named_and_the_rest_answered() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            # √ of a negative number: NaN everywhere for x = 3, and in half of the plane for x = 1.
            hole = torch.where(x == 3.0, -1.0, torch.where((x == 1.0) & (z < 0), -1.0, 1.0)).sqrt()
            pyro.sample("x", dist.Normal(z * hole, 1.0), obs=x)

    x = torch.tensor([0.5, 3.0, 1.0])
    exact = quadrature(Target(model, narrow_guide(1.0), x))
    assert exact.flags[0] == ""
    assert "NaN" in exact.flags[1]
    truth = dist.Normal(0.0, math.sqrt(2.0)).log_prob(x)
    assert exact.value[0].item() == pytest.approx(truth[0].item(), abs=1e-6)
    half = truth[2].item() + math.log(scipy.stats.norm.cdf(0.5 / math.sqrt(0.5)))
    assert exact.value[2].item() == pytest.approx(half, abs=0.2)  # a jump: the lattice says how far it is off
    assert abs(exact.value[2].item() - half) < 20 * exact.stderr[2].item()


def test_a_uniform_guide_beneath_a_wider_prior() -> None:
    """Its density has no slope anywhere: log p(x) is exact all the same, and its ELBO is that of its interval."""

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Uniform(-torch.ones_like(x), torch.ones_like(x)))

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    x = torch.tensor([0.0, 0.5, 2.0])
    found = quadrature(Target(model, guide, x))
    torch.testing.assert_close(found.value, dist.Normal(0.0, math.sqrt(2)).log_prob(x), rtol=0, atol=1e-6)
    elbo = math.log(2) - math.log(2 * math.pi) - (1 / 3 + x.square() + 1 / 3) / 2  # E z² = 1/3
    assert (found.info["elbo"] - elbo).abs().max() < 0.05
    torch.testing.assert_close(found.info["guide_sd"], torch.full((3, 1), 3**-0.5), rtol=0.02, atol=0)
