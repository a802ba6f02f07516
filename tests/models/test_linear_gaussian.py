"""Probabilistic PCA and factor analysis against dense Gaussians, against maximum likelihood, against MNIST."""

import numpy as np
import pyro
import pytest
import torch
from pyro import poutine
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal

from elbowroom.guides import ExactPosterior
from elbowroom.models import PPCA, FactorAnalysis
from elbowroom.models.linear_gaussian import LinearGaussian
from toys.dataset_files import real_data

B, P, D, S = 6, 20, 3, 50


def make(family: type[LinearGaussian], *, sigma: float = 0.4) -> LinearGaussian:
    model = family(P, D, sigma=sigma)  # type: ignore[call-arg]
    with torch.no_grad():
        model.mean.normal_()
        model.log_sigma.add_(0.3 * torch.randn(model.log_sigma.shape))
    return model


families = pytest.mark.parametrize("family", [PPCA, FactorAnalysis])
sigmas = pytest.mark.parametrize("sigma", [3.0, 0.4, 0.01])


@families
@sigmas
def test_log_prob_equals_the_dense_gaussian(family: type[LinearGaussian], sigma: float) -> None:
    model, x = make(family, sigma=sigma), torch.randn(B, P)
    noise = model.sigma.square().expand(P)
    covariance = model.loadings @ model.loadings.T + torch.diag(noise)
    got = model.log_prob(x)
    assert got.shape == (B,)
    for dense in (
        MultivariateNormal(model.mean, covariance),
        LowRankMultivariateNormal(model.mean, model.loadings, noise),
    ):
        torch.testing.assert_close(got, dense.log_prob(x), rtol=1e-8, atol=1e-9)


@families
def test_posterior_equals_conditioning_the_joint_gaussian(family: type[LinearGaussian]) -> None:
    model, x = make(family), torch.randn(B, P)
    covariance = model.loadings @ model.loadings.T + torch.diag(model.sigma.square().expand(P))
    gain = model.loadings.T @ covariance.inverse()  # Cov(z, x) Cov(x)⁻¹, [D, P]
    posterior = model.posterior(x)
    torch.testing.assert_close(posterior.mean, (x - model.mean) @ gain.T)
    expected = (torch.eye(D) - gain @ model.loadings).expand(B, D, D)
    torch.testing.assert_close(posterior.covariance_matrix, expected)


@families
@sigmas
def test_every_weight_of_the_exact_guide_is_log_p(family: type[LinearGaussian], sigma: float) -> None:
    """log p(x, z) − log q(z|x) = log p(x) at every z, also at z far from the posterior's draws' bulk."""
    model = make(family, sigma=sigma)
    x = model.decode(torch.randn(B, D)).sample()
    with pyro.plate("samples", S, dim=-2):
        guide_trace = poutine.trace(ExactPosterior(model)).get_trace(x)
        model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(x)
    guide_trace.compute_log_prob()
    model_trace.compute_log_prob()
    log_w = (model_trace.nodes["z"]["log_prob"] + model_trace.nodes["x"]["log_prob"]) - guide_trace.nodes["z"][
        "log_prob"
    ]
    assert log_w.shape == (S, B)
    torch.testing.assert_close(log_w, model.log_prob(x).expand(S, B), rtol=1e-12, atol=1e-10)


def test_the_exact_guide_follows_the_model_and_owns_nothing() -> None:
    model, x = make(PPCA), torch.randn(B, P)
    guide = ExactPosterior(model)
    before = guide.encode(x).mean
    with torch.no_grad():
        model.loadings.mul_(2)
    assert not torch.allclose(guide.encode(x).mean, before)
    assert list(guide.parameters()) == [] and guide.state_dict() == {} and guide.model is model


def test_the_gradient_of_the_elbo_under_the_exact_guide_is_that_of_log_p() -> None:
    """The bound is tight at every parameter value, so the two have the same slope: training on it is training on p."""
    model, x = make(PPCA), torch.randn(B, P)
    elbo = -pyro.infer.Trace_ELBO().differentiable_loss(model, ExactPosterior(model), x)
    exact = model.log_prob(x).sum()
    assert elbo.item() == pytest.approx(exact.item(), abs=1e-9)
    parameters = list(model.parameters())
    for a, b in zip(torch.autograd.grad(elbo, parameters), torch.autograd.grad(exact, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


def test_float32_loses_no_digits_to_cancellation() -> None:
    """With σ = 1e-3 and data on the subspace, |r|²/σ² is a million times the quadratic form itself."""
    model = PPCA(P, D, sigma=1e-3)
    x = model.decode(3 * torch.randn(B, D)).sample()
    expected = model.log_prob(x)
    single = model.to(torch.float32)
    with torch.no_grad():  # the same model, parameters rounded
        reference = PPCA(P, D).to(torch.float64)
        reference.load_state_dict({k: v.double() for k, v in single.state_dict().items()})
    x = x.float()
    got, expected = single.log_prob(x), reference.log_prob(x.double())
    torch.testing.assert_close(got.double(), expected, rtol=2e-3, atol=0.1)


# -- maximum likelihood -------------------------------------------------------------------------------------------


def correlated(num_data: int) -> Tensor:
    return 2.0 + torch.randn(num_data, 4) @ torch.randn(4, P) + 0.5 * torch.randn(num_data, P)


@pytest.mark.parametrize("num_data", [200, 10])
def test_closed_form_fit_is_a_maximum(num_data: int) -> None:
    x = correlated(num_data)
    model = PPCA.fit_closed_form(x, D)
    best = model.log_prob(x).mean()
    for gradient in torch.autograd.grad(best, list(model.parameters())):
        assert gradient.abs().max() < 1e-9
    for _ in range(20):
        other = PPCA(P, D)
        other.load_state_dict({k: v + 0.05 * torch.randn(v.shape) for k, v in model.state_dict().items()})
        assert other.log_prob(x).mean() < best


def test_closed_form_fit_by_the_equations() -> None:
    x = correlated(300)
    model = PPCA.fit_closed_form(x.reshape(300, 1, 4, 5), D)
    values = torch.linalg.eigvalsh(torch.cov(x.T, correction=0)).flip(0)
    torch.testing.assert_close(model.sigma.square(), values[D:].mean())
    torch.testing.assert_close(model.loadings.square().sum(0), values[:D] - values[D:].mean())
    torch.testing.assert_close(model.mean.data, x.mean(0))
    gram = model.loadings.T @ model.loadings
    torch.testing.assert_close(gram, torch.diag(gram.diagonal()), atol=1e-9, rtol=0)
    peaks = model.loadings.gather(0, model.loadings.abs().argmax(0, keepdim=True))
    assert (peaks > 0).all()


def test_closed_form_fit_keeps_the_dtype_of_the_data() -> None:
    x = correlated(50)
    model = PPCA.fit_closed_form(x.float(), D)
    assert model.log_prob(x.float()).dtype == torch.float32
    torch.testing.assert_close(model.sigma.double(), PPCA.fit_closed_form(x, D).sigma, rtol=1e-6, atol=0)


def test_closed_form_fit_refuses_what_has_no_maximum() -> None:
    x = correlated(50)
    with pytest.raises(ValueError, match=r"latent_dim.* got 20, expected less than the data's 20"):
        PPCA.fit_closed_form(x, P)
    with pytest.raises(ValueError, match=r"latent_dim.* got 0"):
        PPCA.fit_closed_form(x, 0)
    for flat in (torch.ones(50, P), x[:1], x[: D + 1], x[:, :1].expand(50, P)):
        with pytest.raises(ValueError, match="components explain completely"):
            PPCA.fit_closed_form(flat, D)
    with pytest.raises(TypeError, match=r"x: got torch\.uint8"):
        PPCA.fit_closed_form(x.to(torch.uint8), D)
    for bad in (float("nan"), float("inf")):
        broken = x.clone()
        broken[3, 4] = bad
        with pytest.raises(ValueError, match=r"x.* got NaN or infinite"):
            PPCA.fit_closed_form(broken, D)


@families
def test_bad_arguments(family: type[LinearGaussian]) -> None:
    for arguments, message in (((0, 2), "data_dim.* got 0"), ((4, -1), "latent_dim.* got -1")):
        with pytest.raises(ValueError, match=message):
            family(*arguments)  # type: ignore[call-arg]
    for sigma in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="sigma must be"):
            make(family, sigma=sigma)
    with pytest.raises(TypeError, match=r"sigma.* got '1'"):
        make(family, sigma="1")  # type: ignore[arg-type]
    for method in (make(family).log_prob, make(family).posterior):
        with pytest.raises(ValueError, match=r"x.* got 19 values per datum .*expected 20"):
            method(torch.randn(B, 19))


# -- MNIST --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_mnist_reference_figures() -> None:
    """Maximum-likelihood pPCA on grey MNIST / 255: σ² and mean log p(x) in nats per image, computed independently."""
    with np.load(real_data("mnist/mnist.npz") / "mnist" / "mnist.npz", allow_pickle=False) as arrays:
        train, test = (torch.from_numpy(arrays[f"x_{part}"]).flatten(1).double() / 255 for part in ("train", "test"))
    for latent_dim, variance, on_train, on_test in (
        (2, 0.056096, 12.428, 14.360),
        (10, 0.034867, 182.155, 186.024),
        (50, 0.012596, 507.905, 517.603),
    ):
        model = PPCA.fit_closed_form(train, latent_dim)
        assert model.sigma.square().item() == pytest.approx(variance, abs=6e-7)
        assert model.log_prob(train).mean().item() == pytest.approx(on_train, abs=6e-4)
        assert model.log_prob(test).mean().item() == pytest.approx(on_test, abs=6e-4)
