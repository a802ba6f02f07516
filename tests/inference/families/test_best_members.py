"""The best member of a family and its ELBO, against quadrature and an optimiser of another make."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from scipy.optimize import minimize
from torch import Tensor

from elbowroom.inference import Target, quadrature
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.families.expectation import Density
from elbowroom.inference.families.family import Family
from elbowroom.inference.families.fitting import fit_family
from elbowroom.inference.families.from_guide import read_guide
from elbowroom.inference.families.scoring import NUM_SHIFTS, evaluate
from elbowroom.inference.gap import decompose
from elbowroom.reference import problem
from toys.gap import Pixels

RUNGS = ("mean-field", "full covariance", "mixture")


def banana(num_data: int) -> Target:
    known = problem("banana-mean-field")
    return Target(known.model, known.guide, torch.linspace(-1.5, 3.0, num_data))


@pytest.mark.slow
@pytest.mark.parametrize("make", [Pixels().target, banana])
def test_values_of_all_rungs_agree_with_quadrature(make: object) -> None:
    """z-scores of 40 data: the mean within 4/√40 of zero and a half more for skewed weights, the spread near one."""
    target = make(40)  # type: ignore[operator]
    d = decompose(target)
    for rung in RUNGS:
        exact = quadrature(d.refined.target(rung))
        assert not any(exact.flags)
        error = d.ladder[rung].value - exact.info["elbo"]
        z = error / d.ladder[rung].stderr.clamp_min(1e-9)
        assert float(error.abs().max()) < 0.08
        assert abs(float(z.mean())) < 0.63 + 0.25, rung
        assert 0.6 < float(z.std()) < 1.7, rung
    room = quadrature(target).info["kl_q_p"]
    assert bool(((d.room().value - room).abs() < 6 * d.room().stderr).all())


def mean_field_by_scipy(toy: Pixels, x: Tensor) -> float:
    """The best ELBO of independent normals: L-BFGS on Gauss–Hermite quadrature with 40 × 40 nodes, from nine starts."""
    nodes, mass = hermegauss(40)
    grid = torch.stack(torch.meshgrid(torch.tensor(nodes), torch.tensor(nodes), indexing="ij"), -1).flatten(0, 1)
    weight = torch.outer(torch.tensor(mass), torch.tensor(mass)).flatten() / (2 * math.pi)

    def loss(parameters: object) -> tuple[float, object]:
        p = torch.tensor(parameters, requires_grad=True)
        z = p[:2] + p[2:].exp() * grid
        logits = z @ toy.weight + toy.bias
        log_lik = (x * logits - torch.nn.functional.softplus(logits)).sum(-1)
        log_prior = -0.5 * z.square().sum(-1) - math.log(2 * math.pi)
        entropy = p[2:].sum() + 1 + math.log(2 * math.pi)
        value = -((weight * (log_lik + log_prior)).sum() + entropy)
        (gradient,) = torch.autograd.grad(value, p)
        return value.item(), gradient.numpy()

    starts = [(a, b, -0.7, -0.7) for a in (-1.0, 0.0, 1.0) for b in (-1.0, 0.0, 1.0)]
    return -min(minimize(loss, start, jac=True, method="L-BFGS-B").fun for start in starts)


@pytest.mark.slow
def test_the_best_mean_field_member_is_that_of_another_optimiser() -> None:
    toy = Pixels()
    target = toy.target(8)
    d = decompose(target, families=["mean-field"])
    reached = quadrature(d.refined.target("mean-field")).info["elbo"]
    for b, x in enumerate(target.args[0]):
        best = mean_field_by_scipy(toy, x)
        assert best - 2e-3 < float(reached[b]) < best + 1e-5
        error = math.hypot(float(d.ladder["mean-field"].stderr[b]), 1e-4)
        assert abs(float(d.ladder["mean-field"].value[b]) - best) < 4.5 * error + 2e-3
        assert float(d.optimisation.value[b]) < 5e-3


# A Gaussian log density of known optimum ------------------------------------------------------------------------------

COUNT, DIM = 6, 3


def gaussian(precision: Tensor) -> Density:
    """log N(u; 0, Λ⁻¹) and its gradient, the same for all data."""
    constant = 0.5 * torch.logdet(precision) - 0.5 * DIM * math.log(2 * math.pi)

    def density(u: Tensor) -> tuple[Tensor, Tensor]:
        slope = -u @ precision
        return constant + 0.5 * (slope * u).sum(-1), slope

    return density


def precision() -> Tensor:
    root = torch.tensor([[1.5, 0.0, 0.0], [0.6, 1.0, 0.0], [-0.4, 0.3, 0.7]])
    return root @ root.T


def numbers() -> RandomNumbers:
    known = problem("conjugate-normal-0.7")
    return RandomNumbers(Target(known.model, known.guide, torch.linspace(-1, 1, COUNT)), 5)


def kl(loc: Tensor, factor: Tensor) -> Tensor:
    q = torch.distributions.MultivariateNormal(loc, scale_tril=factor)
    p = torch.distributions.MultivariateNormal(torch.zeros(DIM), precision_matrix=precision())
    return torch.distributions.kl_divergence(q, p)


def test_the_optimum_has_no_variance_and_no_slack() -> None:
    factor = torch.linalg.cholesky(torch.linalg.inv(precision()))
    best = Family.gaussian(torch.zeros(COUNT, DIM), factor.expand(COUNT, -1, -1))
    found = evaluate(gaussian(precision()), numbers(), best, 32)
    assert found.elbo.shape == (NUM_SHIFTS, COUNT)
    torch.testing.assert_close(found.elbo, torch.zeros(NUM_SHIFTS, COUNT), atol=1e-12, rtol=0)
    assert found.slack is not None
    torch.testing.assert_close(found.slack[0], torch.zeros(COUNT), atol=1e-20, rtol=0)


def test_the_quadratic_part_of_the_noise_is_taken_off() -> None:
    """A Gaussian member that is not the optimum: log w is quadratic in ε, and nearly all of its noise goes."""
    loc, factor = torch.tensor([0.5, -0.3, 0.2]), torch.diag(torch.tensor([0.4, 0.9, 1.1]))
    family = Family.gaussian(loc.expand(COUNT, -1), factor.diagonal().expand(COUNT, -1))
    found = evaluate(gaussian(precision()), numbers(), family, 128)
    plain = found.elbo - found.value
    truth = -kl(loc, factor)
    torch.testing.assert_close(found.value, truth.expand(COUNT), atol=2e-3, rtol=0)
    # Without the control variate a randomisation of 128 points has an error of about sd(log w)/√128.
    q = torch.distributions.MultivariateNormal(loc, scale_tril=factor)
    u = q.sample((20_000,))
    naive = (gaussian(precision())(u)[0] - q.log_prob(u)).std() / 128**0.5
    assert float(plain.std()) < 0.02 * float(naive)


@pytest.mark.parametrize("form", ["diagonal", "full"])
def test_slack_of_a_displaced_mean_is_the_newton_decrement(form: str) -> None:
    """½ gᵀ H⁻¹ g is what moving the mean to the optimum gains, exactly, where the scale is right."""
    if form == "full":
        scale = torch.linalg.cholesky(torch.linalg.inv(precision()))
        factor = scale
    else:
        scale = precision().diagonal().rsqrt()  # the best independent sds
        factor = torch.diag(scale)
    loc = torch.stack([torch.tensor([0.05 * b, -0.1, 0.02 * b]) for b in range(COUNT)])
    family = Family.gaussian(loc, scale.expand(COUNT, *scale.shape))
    found = evaluate(gaussian(precision()), numbers(), family, 512)
    assert found.slack is not None
    truth = kl(loc, factor) - kl(torch.zeros(DIM), factor)
    value, stderr = found.slack
    assert bool(((value - truth).abs() < 4 * stderr + 1e-3 * truth + 1e-9).all()), (value, truth, stderr)


@pytest.mark.parametrize("form", ["diagonal", "full"])
def test_slack_of_a_wrong_scale_to_second_order(form: str) -> None:
    """L (I + ε A): the gain is that of the second-order expansion up to O(ε³)."""
    lower = torch.tensor([[0.04, 0.0, 0.0], [0.03, -0.05, 0.0], [-0.02, 0.04, 0.03]])
    best = torch.linalg.cholesky(torch.linalg.inv(precision()))
    if form == "full":
        scale = best @ (torch.eye(DIM) + lower)
        truth = kl(torch.zeros(DIM), scale)
    else:
        sd = precision().diagonal().rsqrt()
        scale = sd * (1 + lower.diagonal())
        truth = kl(torch.zeros(DIM), torch.diag(scale)) - kl(torch.zeros(DIM), torch.diag(sd))
    family = Family.gaussian(torch.zeros(COUNT, DIM), scale.expand(COUNT, *scale.shape))
    found = evaluate(gaussian(precision()), numbers(), family, 1024)
    assert found.slack is not None
    value, stderr = found.slack
    assert bool(((value - truth).abs() < 4 * stderr + 0.15 * truth).all()), (value, truth, stderr)


@pytest.mark.parametrize("form", ["diagonal", "full"])
def test_a_fit_reaches_the_optimum_of_a_gaussian(form: str) -> None:
    density = gaussian(precision())
    loc = torch.linspace(-3.0, 3.0, COUNT * DIM).reshape(COUNT, DIM)
    start = Family.gaussian(loc, torch.full((COUNT, DIM), 0.2))
    start = start if form == "diagonal" else start.full()
    fitted = fit_family(lambda rows: density, numbers(), start, "test")
    least = 0.0 if form == "full" else float(kl(torch.zeros(DIM), torch.diag(precision().diagonal().rsqrt())))
    factor = fitted.family.full().scale.squeeze(1)
    for b in range(COUNT):
        assert float(kl(fitted.family.loc[b, 0], factor[b])) < least + 1e-4
    assert bool((fitted.num_evaluations > 0).all())


@pytest.mark.parametrize("full", [False, True])
def test_a_guide_is_read_off_its_scores(full: bool) -> None:
    known = problem("correlated-gaussian-0.6")
    factor = torch.tensor([[0.8, 0.0], [-0.5, 0.3]])

    def guide(x: Tensor) -> None:
        loc = torch.stack([x[:, 0].sin(), x[:, 1] * 2], -1)
        q = dist.MultivariateNormal(loc, scale_tril=factor) if full else dist.Normal(loc, factor.diagonal()).to_event(1)
        with pyro.plate("data", len(x)):
            pyro.sample("z", q)

    x = known.args[0]
    start = read_guide(Coordinates.of(Target(known.model, guide, x)), 0)
    loc = torch.stack([x[:, 0].sin(), x[:, 1] * 2], -1)
    torch.testing.assert_close(start.family.mean, loc, atol=1e-7, rtol=0)
    truth = factor if full else torch.diag(factor.diagonal())
    torch.testing.assert_close(start.family.full().scale[:, 0], truth.expand(len(x), -1, -1), atol=1e-7, rtol=0)
    assert bool(start.is_gaussian.all())
    assert bool((start.is_diagonal == (not full)).all())
