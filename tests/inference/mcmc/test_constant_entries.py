"""Entries of a latent that its support makes constant: no failure of a chain, and nothing to disagree about."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, agreement, calibrate, hmc, latent_use, nuts, quadrature
from elbowroom.inference.mcmc.convergence import convergence
from elbowroom.inference.programs.latent import latent_of

SUPPORTS = {
    "corr_cholesky": (dist.LKJCholesky(3, 1.0), [[1, 1, 1], [0, 0, 1], [0, 0, 0]]),
    "corr_matrix": (dist.LKJ(3, torch.tensor(1.0)), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    "simplex": (dist.Dirichlet(torch.ones(3)), []),
    "positive": (dist.Gamma(torch.ones(3), 1.0).to_event(1), []),
    "real": (dist.Normal(torch.zeros(2), 1.0).to_event(1), []),
}
LOCATION = dist.constraints.corr_cholesky


def correlated(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        factor = pyro.sample("L", dist.LKJCholesky(2, torch.ones(len(x))))
        shared = dist.MultivariateNormal(torch.zeros(1, 2), scale_tril=factor.unsqueeze(-3))
        pyro.sample("x", shared.expand(torch.Size((*factor.shape[:-2], x.shape[1]))).to_event(1), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        base = dist.Normal((x[..., 0] * x[..., 1]).mean(-1, keepdim=True), 0.4).to_event(1)
        pyro.sample("L", dist.TransformedDistribution(base, torch.distributions.biject_to(LOCATION)))


def target(num_data: int = 2) -> Target:
    x = torch.randn(num_data, 12, 2, generator=torch.Generator().manual_seed(0))
    return Target(correlated, guide, x @ torch.tensor([[1.0, 0.5], [0.0, 0.87]]))


@pytest.mark.parametrize("name", sorted(SUPPORTS))
def test_constants_are_read_off_the_bijection(name: str) -> None:
    fn, constant = SUPPORTS[name]
    site = {"fn": fn, "value": fn.sample()}
    latent = latent_of("z", site, site, None, 0)
    assert latent.constant == tuple(bool(mark) for row in constant for mark in row)


@pytest.mark.slow
def test_chains_are_judged_by_what_varies() -> None:
    problem = target()
    assert problem.varying.tolist() == [False, False, True, True]
    draws = hmc(problem, num_warmup=100, num_draws=250)
    for drawn in (draws, nuts(problem, [0], num_chains=2, num_warmup=20, num_draws=50)):
        diagnosed = drawn.convergence
        assert bool((diagnosed.rhat[:, 2:] != 1).all()) and bool(diagnosed.rhat.isfinite().all())
        assert not any("undefined" in flag for flag in drawn.flags)
        assert diagnosed.mcse_sd[:, :2].tolist() == [[0.0, 0.0]] * len(drawn)
    exact = quadrature(problem).info["mean"]
    draws.reference()
    assert bool(((draws.mean - exact).abs() <= 4 * draws.convergence.mcse_mean + 1e-12).all())


def test_a_chain_that_never_moved_is_found() -> None:
    """Entries that could vary and do not, and chains in which all are constant."""
    z = torch.randn(4, 400, 1, 3, generator=torch.Generator().manual_seed(1))
    z[..., 0] = 0.0
    varying, quiet = torch.tensor([False, True, True]), torch.zeros(4, 400, 1, dtype=torch.bool)
    assert convergence(z, quiet, varying=varying).flags == ("",)
    stuck = z.clone()
    stuck[..., 1] = 0.3
    for marks in (varying, None):
        assert "R-hat is undefined" in convergence(stuck, quiet, varying=marks).flags[0]
    assert "R-hat is undefined" in convergence(z, quiet, varying=torch.zeros(3, dtype=torch.bool)).flags[0]


@pytest.mark.slow
def test_constants_agree_and_are_no_latents() -> None:
    problem = target(10)
    draws = hmc(problem, num_warmup=100, num_draws=250)
    exact = quadrature(problem)
    for result in (agreement(problem, draws), agreement(problem, draws, exact=exact)):
        for name in ("mean_error", "log_sd_ratio", "wasserstein", "correlation_error", "mode_distance", "tail_mass"):
            assert bool(getattr(result, name).isfinite().all()), name
        assert bool((result.mean_error[:, :2].abs() < 1e-12).all())
        sound = result.mean_error[:, 2:].abs() + 4 * result.mean_error_stderr[:, 2:] < 0.25
        assert bool((~sound.all(1) | result.uses["means"]).all())
    use = latent_use(problem)
    assert use.latents == ("L[1,0]", "L[1,1]") and use.activity.shape == (2,)
    assert bool(use.aggregate_mean.isfinite().all())


@pytest.mark.slow
def test_constants_are_calibrated() -> None:
    """Data that say nothing, and the prior as guide; the first entry differs from 1 by the rounding of another way."""

    def prior(x: Tensor, observe: bool = True) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("L", dist.LKJCholesky(2, torch.ones(len(x))))
            if observe:
                pyro.sample("x", dist.Normal(0.0, 1.0), obs=x)

    def same(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            tanh = dist.TransformedDistribution(dist.Uniform(-torch.ones(1), 1.0), dist.transforms.TanhTransform().inv)
            to_factor = torch.distributions.biject_to(LOCATION)
            pyro.sample("L", dist.TransformedDistribution(tanh.to_event(1), to_factor))

    result = calibrate(Target(prior, same, torch.randn(5)), num_simulations=200, level=1e-3)
    assert not result.rejected
