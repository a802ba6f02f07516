"""Where formulas lose their digits: means of nearly nothing, counts of ten thousand, λ = ½, tails, many trials."""

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor

from elbowroom.models.likelihoods.beta import BetaVector
from elbowroom.models.likelihoods.binomial import BinomialVector
from elbowroom.models.likelihoods.continuous_bernoulli import ContinuousBernoulliVector
from elbowroom.models.likelihoods.discretised_logistic import DiscretisedLogisticVector
from elbowroom.models.likelihoods.negative_binomial import NegativeBinomialVector
from elbowroom.models.likelihoods.poisson import PoissonVector
from elbowroom.models.likelihoods.zero_inflated import ZeroInflatedNegativeBinomialVector

COUNTS = torch.tensor([0.0, 1.0, 7.0, 9_900.0, 10_000.0], dtype=torch.float64)
MEANS = torch.tensor([1e-300, 1e-8, 0.5, 7.0, 1e4], dtype=torch.float64)


def column(values: Tensor) -> Tensor:
    """A vector of one entry for each value: `[n, 1]`."""
    return values.reshape(-1, 1)


def grid(*axes: Tensor) -> list[Tensor]:
    """All combinations, `[n, 1]` each."""
    return [column(axis) for axis in torch.meshgrid(*axes, indexing="ij")]


def test_poisson_counts() -> None:
    x, mean = grid(COUNTS, MEANS)
    log_rate = mean.log().requires_grad_()
    log_p = PoissonVector(log_rate).log_prob(x)
    expected = stats.poisson.logpmf(x.numpy(), mean.numpy())[:, 0]
    torch.testing.assert_close(log_p.detach(), torch.tensor(expected), rtol=1e-10, atol=1e-10)
    (gradient,) = torch.autograd.grad(log_p.sum(), log_rate)
    torch.testing.assert_close(gradient, x - log_rate.exp().detach(), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("theta", [1e-3, 0.5, 15.9, 16.1, 1e3])
def test_negative_binomial_counts(theta: float) -> None:
    x, mean = grid(COUNTS, MEANS)
    log_mean, log_theta = mean.log().requires_grad_(), torch.tensor(theta).log().requires_grad_()
    log_p = NegativeBinomialVector(log_mean, log_theta).log_prob(x)
    n, mu = x.numpy(), mean.numpy()
    coefficient = special.gammaln(n + theta) - special.gammaln(theta) - special.gammaln(n + 1)
    logit = np.log(mu) - math.log(theta)  # scipy.stats takes 1 / (1 + exp logit), and loses a mean of 1e-300
    expected = coefficient + n * special.log_expit(logit) + theta * special.log_expit(-logit)
    torch.testing.assert_close(log_p.detach(), torch.tensor(expected[:, 0]), rtol=1e-10, atol=2e-10)
    of_mean, of_theta = torch.autograd.grad(log_p.sum(), (log_mean, log_theta))
    torch.testing.assert_close(of_mean, theta * (x - mean) / (theta + mean), rtol=1e-9, atol=1e-9)
    digamma = special.digamma(n + theta) - special.digamma(theta)
    slope = theta * (digamma - np.log1p(mu / theta) + (mu - n) / (theta + mu))
    assert of_theta.item() == pytest.approx(slope.sum(), rel=1e-9)


@pytest.mark.parametrize("theta", [1e7, 1e9])
def test_negative_binomial_tends_to_poisson(theta: float) -> None:
    """log NB − log Poisson = ((x − μ)² − x) / 2θ + O(1/θ²), and the slope in log θ is minus that."""
    x, mean = grid(torch.tensor([0.0, 3.0, 90.0]), torch.tensor([1e-8, 4.0, 80.0]))
    log_theta = torch.tensor(theta).log().requires_grad_()
    difference = NegativeBinomialVector(mean.log(), log_theta).log_prob(x) - PoissonVector(mean.log()).log_prob(x)
    expected = (((x - mean).square() - x) / (2 * theta))[:, 0]
    torch.testing.assert_close(difference.detach(), expected, rtol=1e-4, atol=1e-12 * 80 * math.log(theta))
    (slope,) = torch.autograd.grad(difference.sum(), log_theta)
    assert slope.item() == pytest.approx(-expected.sum().item(), rel=1e-4, abs=1e-12)


def test_zero_inflation_at_extremes() -> None:
    """A gate that is shut leaves the negative binomial; one that is open leaves nothing but zeros; gradients finite."""
    x, mean = grid(COUNTS, MEANS)
    log_theta = torch.tensor(0.3)
    shut = ZeroInflatedNegativeBinomialVector(mean.log(), torch.full_like(mean, -1e3), log_theta).log_prob(x)
    torch.testing.assert_close(shut, NegativeBinomialVector(mean.log(), log_theta).log_prob(x), rtol=1e-12, atol=1e-12)
    parameters = [mean.log().requires_grad_(), torch.full_like(mean, 1e3).requires_grad_()]
    opened = ZeroInflatedNegativeBinomialVector(*parameters, log_theta).log_prob(x)
    zeros = x[:, 0] == 0
    assert (opened[zeros] == 0).all() and (opened[~zeros] < -900).all()
    assert all(g.isfinite().all() for g in torch.autograd.grad(opened.sum(), parameters))


@pytest.mark.parametrize("logit", [-500.0, -30.0, 0.0, 30.0, 500.0])
def test_many_trials(logit: float) -> None:
    n, x = 10_000, column(torch.tensor([0.0, 1.0, 5_000.0, 9_999.0, 10_000.0]))
    logits = torch.full_like(x, logit).requires_grad_()
    log_p = BinomialVector(logits, n).log_prob(x)
    k = x[:, 0].numpy()
    coefficient = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    expected = coefficient + k * special.log_expit(logit) + (n - k) * special.log_expit(-logit)
    torch.testing.assert_close(log_p.detach(), torch.tensor(expected), rtol=1e-10, atol=2e-10)
    (gradient,) = torch.autograd.grad(log_p.sum(), logits)
    torch.testing.assert_close(gradient, x - n * torch.sigmoid(logits.detach()), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-12, 1e-6, 1e-3, 0.2499, 0.2501])
def test_continuous_bernoulli_near_one_half(size: float, dtype: torch.dtype) -> None:
    """log p = (x − ½) l − l²/24 + l⁴/2880 − …, its slope, its curvature, and the moments, on both sides of l = 0."""
    x = torch.tensor([[0.0], [0.3], [1.0]], dtype=dtype)
    for sign in (-1, 1):
        logits = torch.full_like(x, sign * size).requires_grad_()
        vector, a = ContinuousBernoulliVector(logits), logits.detach().double()
        log_p = vector.log_prob(x)
        (slope,) = torch.autograd.grad(log_p.sum(), logits, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), logits)
        h = a**2 / 24 - a**4 / 2880 + a**6 / 181440
        h_slope = a / 12 - a**3 / 720 + a**5 / 30240
        h_curvature = 1 / 12 - a**2 / 240 + a**4 / 6048
        rounding = 1e-10 if dtype == torch.float64 else 1e-6
        close = {"rtol": 0, "atol": 1e-7 * a.abs().max().item() ** 4 + rounding}
        torch.testing.assert_close(log_p.double(), ((x.double() - 0.5) * a - h)[:, 0], **close)
        torch.testing.assert_close(slope.double(), x.double() - 0.5 - h_slope, **close)
        torch.testing.assert_close(vector.mean.double(), 0.5 + h_slope, **close)
        close["atol"] += 3e-6 if size == 0.2501 and dtype == torch.float32 else 1e-5 * size**5
        torch.testing.assert_close(curvature.double(), -h_curvature, **close)
        torch.testing.assert_close(vector.variance.double(), h_curvature, **close)


@pytest.mark.parametrize("logit", [-1e4, -50.0, 50.0, 1e4])
def test_continuous_bernoulli_far_from_one_half(logit: float) -> None:
    """An exponential distribution from one end, of rate |l|."""
    logits = torch.full((3, 1), logit, requires_grad=True)
    from_the_end = torch.tensor([[0.0], [0.3], [1.0]])
    vector = ContinuousBernoulliVector(logits)
    log_p = vector.log_prob(from_the_end if logit < 0 else 1 - from_the_end)
    torch.testing.assert_close(log_p, (math.log(abs(logit)) - abs(logit) * from_the_end)[:, 0])
    assert torch.autograd.grad(log_p.sum(), logits)[0].isfinite().all()
    draws = vector.sample((1000,))
    distance = draws if logit < 0 else 1 - draws
    assert distance.mean().item() == pytest.approx(1 / abs(logit), rel=0.1)
    torch.testing.assert_close(vector.variance, torch.full((3, 1), logit**-2.0))


def test_levels_in_a_far_tail() -> None:
    """By expansion of sigmoid in the tail: log P(k) = −(e_k − m)/s + log(1 − exp −Δ), at any distance."""
    levels, scale = 256, 1e-3
    x, mean = torch.tensor([[200.0]]), torch.tensor([[-0.9]], requires_grad=True)
    log_p = DiscretisedLogisticVector(mean, torch.tensor(scale).log(), levels).log_prob(x)
    edge, width = (2 * 200 - levels) / (levels - 1), 2 / (levels - 1) / scale
    assert log_p.item() == pytest.approx(-(edge + 0.9) / scale + math.log1p(-math.exp(-width)), rel=1e-12)
    assert torch.autograd.grad(log_p.sum(), mean)[0].item() == pytest.approx(1 / scale)


@pytest.mark.parametrize(
    ("alpha", "beta", "x"), [(1e4, 3e4, 0.2502), (2e5, 30.0, 0.99987), (3.0, 1e5, 2e-5), (1e6, 1e-2, 1e-3)]
)
def test_a_sharp_beta(alpha: float, beta: float, x: float) -> None:
    """SciPy's value, the gradient by SciPy's digamma, and the same in 32 bits to a few thousandths."""
    logs = [torch.tensor([[math.log(value)]], requires_grad=True) for value in (alpha, beta)]
    value = torch.tensor([[x]])
    log_p = BetaVector(*logs).log_prob(value)
    assert log_p.item() == pytest.approx(stats.beta.logpdf(x, alpha, beta), rel=1e-12, abs=1e-8)  # SciPy's own digits
    both = special.digamma(alpha + beta)
    expected = (
        alpha * (math.log(x) - special.digamma(alpha) + both),
        beta * (math.log1p(-x) - special.digamma(beta) + both),
    )
    for slope, slope_of_scipy in zip(torch.autograd.grad(log_p.sum(), logs), expected, strict=True):
        assert slope.item() == pytest.approx(slope_of_scipy, rel=1e-7, abs=1e-7)
    single = [log.detach().float() for log in logs]
    exact = BetaVector(*(log.double() for log in single)).log_prob(value.float().double())
    assert BetaVector(*single).log_prob(value.float()).item() == pytest.approx(exact.item(), rel=1e-6, abs=3e-3)


def test_large_counts_in_single_precision() -> None:
    """Counts near means of 10⁴: 1e-3 nats, where the formula as it is written is wrong by up to 1e-2."""
    x = column(torch.arange(9_900.0, 10_100.0, 7.0))
    log_mean = torch.full_like(x, math.log(1e4)).float()
    for make in (PoissonVector, lambda log_mean: NegativeBinomialVector(log_mean, log_mean.new_zeros(()))):
        exact, found = make(log_mean.double()).log_prob(x), make(log_mean).log_prob(x.float())
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-3)
