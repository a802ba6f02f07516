"""Batched chains against exact posteriors, against Pyro's NUTS, and against themselves in other batches."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Draws, Target, hmc, nuts, quadrature
from elbowroom.models import PPCA, VAE
from elbowroom.reference import PROBLEMS, problem
from toys.failure_budget import accidents, sigmas
from toys.programs import data, gamma_guide, gamma_model, normal_guide, normal_model, one_mode, two_modes

SIGMA = sigmas(800)  # comparisons with exact moments in this file, those of the reference problems apart


def errors(draws: Draws, mean: Tensor, sd: Tensor) -> tuple[Tensor, Tensor]:
    """Errors of the posterior mean and standard deviation in standard errors, `[B, N]`."""
    found, z = draws.convergence, draws.flat
    second = (z - z.mean((0, 1))).square()
    sd_stderr = second.std((0, 1)) / found.ess_moments.sqrt() / (2 * draws.sd)
    return (draws.mean - mean) / found.mcse_mean.maximum(draws.sd / found.ess_moments.sqrt()), (
        draws.sd - sd
    ) / sd_stderr


def test_conjugate_posterior() -> None:
    x = data(30)
    draws = hmc(Target(normal_model, normal_guide(0.7), x), num_draws=500, seed=1)
    mean, sd = errors(draws, x.unsqueeze(-1) / 2, torch.full((30, 1), math.sqrt(0.5)))
    assert mean.abs().max() < SIGMA and sd.abs().max() < SIGMA
    assert not any(draws.flags)
    assert mean.square().mean().sqrt() > 0.5  # the errors are of the size that they are said to be


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "jumps"),
    [
        ("both", True),
        ("guide", False),
        *(pytest.param(start, jumps, marks=pytest.mark.slow) for start, jumps in (("both", False), ("guide", True))),
        *(pytest.param("prior", jumps, marks=pytest.mark.slow) for jumps in (True, False)),
    ],
)
def test_correlated_gaussian_posterior(start: str, jumps: bool) -> None:
    torch.manual_seed(2)
    model = PPCA(12, 5, sigma=0.5)
    x = data(10, 12)
    posterior = model.posterior(x)
    target = Target(model, AmortizedNormal(12, 5, (4,)), x)
    draws = hmc(target, num_warmup=100, num_draws=200, seed=3, start=start, jumps=jumps)
    mean, sd = errors(draws, posterior.mean.detach(), posterior.variance.sqrt().detach())
    assert mean.abs().max() < SIGMA and sd.abs().max() < SIGMA
    assert bool((draws.info["jump_acceptance"] > 0).all()) == jumps
    correlation = torch.stack([torch.corrcoef(draws.flat[:, :, b].flatten(0, 1).T) for b in range(3)])
    covariance = posterior.covariance_matrix.detach()
    covariance = covariance.expand(10, 5, 5)[:3]
    scale = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    exact = covariance / scale.unsqueeze(-1) / scale.unsqueeze(-2)
    assert (correlation - exact).abs().max() < SIGMA / draws.convergence.ess_moments.min().sqrt()


@pytest.mark.slow
def test_constrained_posterior() -> None:
    x = torch.tensor([0.0, 1.0, 3.0, 10.0, 40.0])
    draws = hmc(Target(gamma_model, gamma_guide, x), num_draws=1000, seed=1)
    mean, sd = errors(draws, (2 + x).unsqueeze(-1) / 1.5, (2 + x).sqrt().unsqueeze(-1) / 1.5)
    assert mean.abs().max() < SIGMA and sd.abs().max() < SIGMA
    assert draws.z["rate"].min() > 0
    assert not any(draws.flags)


@pytest.mark.slow
@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_float32_data_whatever_the_default_is(default: torch.dtype) -> None:
    torch.set_default_dtype(default)
    x = torch.tensor([0.0, 3.0, 40.0], dtype=torch.float32)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            rate = pyro.sample("rate", dist.Gamma(torch.full_like(x, 2.0), 0.5))
            pyro.sample("x", dist.Poisson(rate), obs=x)

    draws = hmc(Target(model, gamma_guide, x), num_draws=300, seed=1)
    mean, _ = errors(draws, (2 + x).unsqueeze(-1) / 1.5, (2 + x).sqrt().unsqueeze(-1) / 1.5)
    assert draws.flat.dtype == torch.float32
    assert mean.abs().max() < SIGMA


def test_latents_of_another_dtype_than_the_data() -> None:
    """Single-precision data under a double-precision default, with a prior written in plain numbers."""
    x = torch.tensor([0.0, 3.0, 10.0], dtype=torch.float32)
    draws = hmc(Target(gamma_model, gamma_guide, x), num_draws=500, seed=1)
    exact = (2 + x.double()).unsqueeze(-1) / 1.5
    assert ((draws.mean.double() - exact) / draws.convergence.mcse_mean).abs().max() < SIGMA
    assert not any(draws.flags)


def test_a_global_latent() -> None:
    """plate=None: one datum, a posterior Beta(7, 3)."""

    def model(x: Tensor) -> None:
        p = pyro.sample("p", dist.Beta(1.0, 1.0))
        with pyro.plate("flips", len(x)):
            pyro.sample("x", dist.Bernoulli(p), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("p", dist.Beta(2.0, 2.0))

    flips = torch.tensor([1.0, 1, 0, 1, 1, 1, 1, 0])
    draws = hmc(Target(model, guide, flips, plate=None), num_draws=1000)
    mean, sd = errors(draws, torch.tensor([[0.7]]), torch.tensor([[math.sqrt(21 / 1100)]]))
    assert mean.abs().max() < SIGMA and sd.abs().max() < SIGMA


def test_jumps_find_the_mode_that_the_guide_misses() -> None:
    draws = hmc(Target(two_modes, one_mode, torch.zeros(4)), num_draws=1000, seed=5)
    share = (draws.z["z"] < 0).double()
    stderr = (0.1 * 0.9 / draws.convergence.ess_moments[:, 0]).sqrt()
    assert ((share.mean((0, 1)) - 0.1) / stderr).abs().max() < SIGMA
    assert not any(draws.flags)


@pytest.mark.slow
def test_chains_in_different_modes_are_flagged_not_averaged() -> None:
    draws = hmc(Target(two_modes, one_mode, torch.zeros(4)), num_draws=100, seed=5, jumps=False)
    assert all("R-hat" in flag for flag in draws.flags)


@pytest.mark.slow
def test_agrees_with_pyros_nuts_and_quadrature_on_a_small_vae() -> None:
    torch.manual_seed(3)
    target = Target(VAE(8, 2, (8,)), AmortizedNormal(8, 2, (8,)), (data(12, 8) > 0).double())
    exact = quadrature(target)
    draws = hmc(target, num_draws=500, seed=2)
    mean, sd = errors(draws, exact.info["mean"], exact.info["sd"])
    assert mean.abs().max() < SIGMA and sd.abs().max() < SIGMA
    reference = nuts(target, [3], num_warmup=80, num_draws=150, num_chains=2, seed=1)
    both = (draws.convergence.mcse_mean[3].square() + reference.convergence.mcse_mean[0].square()).sqrt()
    assert ((draws.mean[3] - reference.mean[0]) / both).abs().max() < SIGMA


def test_statistics() -> None:
    target = Target(normal_model, normal_guide(0.7), data(3))
    draws = hmc(target, num_chains=3, num_warmup=20, num_draws=50, seed=1)
    assert draws.flat.shape == (3, 50, 3, 1)
    z = draws.z["z"].flatten(0, 1)
    torch.testing.assert_close(draws.stats["lp"].flatten(0, 1), sum(target.log_joint({"z": z})))
    for name in ("energy", "acceptance_rate", "n_steps", "diverging", "step_size"):
        assert draws.stats[name].shape == (3, 50, 3)
    assert bool(((draws.stats["acceptance_rate"] >= 0) & (draws.stats["acceptance_rate"] <= 1)).all())
    assert bool((draws.stats["step_size"] == draws.stats["step_size"][:, :1]).all())  # frozen
    in_draws = draws.stats["n_steps"].sum((0, 1))
    assert bool((draws.info["num_evaluations"] >= in_draws).all())
    energy = -draws.stats["lp"].mean() + 0.5  # E[H] = −E[lp] + D/2
    assert abs(draws.stats["energy"].mean() - energy) < 0.3


@pytest.mark.slow
def test_a_datum_without_an_answer_leaves_the_others_alone() -> None:
    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.where(x > 50, torch.nan, x / 2), 0.7))

    x = torch.tensor([0.3, 100.0, -1.0])
    with_nan = hmc(Target(normal_model, guide, x), num_draws=300, seed=1)
    alone = hmc(Target(normal_model, guide, x[[0, 2]]), num_draws=300, seed=1)
    torch.testing.assert_close(with_nan.flat[:, :, [0, 2]], alone.flat, rtol=1e-7, atol=1e-7)
    assert not with_nan.flags[0] and not with_nan.flags[2]


SLOW = ("eight-schools", "funnel", "shells", "banana-mean-field")
MODES = ("mog-", "two-modes", "twenty-modes", "product")  # many, or far apart: chains may say that they disagree
LONG = (*SLOW, *MODES, "mixture-", "regression", "correlated-gaussian-0.", "conjugate-normal-", "ppca-", "sblri",
        "modes", "student-", "gamma-poisson", "beta-binomial", "dirichlet-", "label-switching", "ragged-",
        "partly-", "ark", "gp-")  # fmt: skip
HIDDEN = ("two-modes-4", "two-modes-10", "twenty-modes-10", "product-3")
"""Chains that all begin near the guide's mode, and whose jumps never meet another, agree with each other: no gate sees
it. `bracket` looks for such modes from the prior, and its tests have these problems."""
LATENT = [name for name in PROBLEMS if name != "mixture-discrete" and not name.startswith(HIDDEN)]
EASY = [name for name in LATENT if not name.startswith((*SLOW, *MODES, "banana"))]
FLAGGED = 0.005
"""Chance, at most, that a datum of an easy problem is flagged after 1000 draws a chain: none of 2780 was (20 seeds).

It is R-hat that flags chains which mix: R² − 1 is about 8 χ²₇ / (7 ESS) over their eight halves. With 500 draws ten
latents have ESS 560, at which one latent in five is beyond 1.01 by chance; with 1000 draws one in three hundred. And
chains of 500 draws miss an arm of the banana now and then: one error in a thousand is beyond 5 standard errors.
"""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name.startswith(LONG) else []) for name in LATENT]
)
def test_reference_problems_are_right_or_flagged(name: str) -> None:
    reference = problem(name)
    assert reference.mean is not None
    draws = hmc(reference.target(), num_draws=1000, seed=1)
    stderr = draws.convergence.mcse_mean.maximum(draws.sd / draws.convergence.ess_moments.sqrt())
    off = (draws.mean - reference.mean) / stderr
    for b, flag in enumerate(draws.flags):
        assert flag or off[b].abs().max() < sigmas(len(LATENT) * off.numel())
    if name in EASY:
        assert sum(map(bool, draws.flags)) <= accidents(len(draws), FLAGGED, len(EASY))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_chains": 0}, "num_chains must be an integer from 1"),
        ({"num_draws": 0}, "num_draws must be an integer from 1"),
        ({"num_warmup": -1}, "num_warmup must be an integer from 0"),
        ({"start": "nowhere"}, "start must be one of"),
        ({"target_accept": 1.5}, "target_accept must be a number between 0 and 1"),
        ({"memory_bytes": 1}, "too small"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hmc(Target(normal_model, normal_guide(0.7), data(2)), **arguments)  # type: ignore[arg-type]
