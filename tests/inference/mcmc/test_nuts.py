"""Pyro's NUTS as the reference: against closed forms, with gates that refuse what did not converge."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference import Gates, NotAReference, Target, nuts
from elbowroom.inference.mcmc.convergence import convergence
from elbowroom.inference.mcmc.nuts import TooSlow
from elbowroom.inference.programs import evaluations


def model(x: Tensor) -> None:
    with pyro.plate("data", 1000, subsample_size=len(x)), poutine.scale(scale=0.3):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", 1000, subsample_size=len(x)):
        pyro.sample("z", dist.Normal(x / 2, 0.5))


@pytest.mark.slow
def test_draws_match_the_conjugate_posterior_with_scales_undone() -> None:
    x = torch.tensor([1.0, -3.0, 0.2])
    draws = nuts(Target(model, guide, x), [1, 0], num_chains=2, num_warmup=60, num_draws=150, gates=Gates(1.05, 25))
    assert draws.flags == ("", "")
    assert draws.flat.shape == (2, 150, 2, 1)
    mean = torch.tensor([[-1.5], [0.5]])
    assert bool(((draws.mean - mean).abs() < 4 * draws.convergence.mcse_mean).all())
    # The error of a standard deviation is about sd / √(2 ESS).
    tolerance = 4 * math.sqrt(0.5) / (2 * draws.convergence.ess_bulk).sqrt()
    assert bool(((draws.sd - math.sqrt(0.5)).abs() < tolerance).all())
    # lp is the log joint at the draws.
    z = {"z": draws.z["z"][:, :, :1].flatten(0, 1)}
    prior, likelihood = Target(model, guide, x[1:2]).log_joint(z)
    torch.testing.assert_close(draws.stats["lp"][:, :, 0].flatten(), (prior + likelihood)[:, 0])
    assert bool((draws.stats["n_steps"] >= 1).all())
    assert bool(((draws.stats["acceptance_rate"] > 0) & (draws.stats["acceptance_rate"] <= 1 + 1e-9)).all())


def test_equal_data_do_not_share_their_noise() -> None:
    twins = nuts(Target(model, guide, torch.tensor([1.0, 1.0])), num_chains=1, num_warmup=10, num_draws=5)
    assert not torch.equal(twins.z["z"][:, :, 0], twins.z["z"][:, :, 1])


@pytest.mark.slow
def test_constrained_global_latents() -> None:
    def rates(count: Tensor) -> None:
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        pyro.sample("count", dist.Poisson(rate), obs=count)

    def rates_guide(count: Tensor) -> None:
        pyro.sample("rate", dist.LogNormal(0.0, 0.5))

    target = Target(rates, rates_guide, torch.tensor(3.0), plate=None)
    draws = nuts(target, num_chains=2, num_warmup=60, num_draws=250, gates=Gates(1.05, 25))
    assert draws.z["rate"].shape == (2, 250, 1)
    assert bool((draws.z["rate"] > 0).all())
    assert abs(draws.mean.item() - 2.5) < 4 * draws.convergence.mcse_mean.item()


@pytest.mark.slow
def test_a_budget_leaves_out_the_data_it_has_no_room_for() -> None:
    x, small = torch.tensor([1.0, -3.0, 0.2]), {"num_chains": 2, "num_warmup": 10, "num_draws": 10}
    whole = nuts(Target(model, guide, x), **small)
    each = 3 * whole.info["num_evaluations"]  # a gradient counts as three evaluations
    target, before = Target(model, guide, x), evaluations.total()
    part = nuts(target, **small, budget=f"{2.1 * each[:2].max():.0f} evaluations")
    assert evaluations.total() - before == each[:2].sum()  # the third was not begun
    assert len(part) == 2 and torch.equal(part.z["z"], whole.z["z"][:, :, :2])
    assert torch.equal(part.info["num_evaluations"], whole.info["num_evaluations"][:2])
    assert len(nuts(Target(model, guide, x), **small, budget=f"{2 * each.sum():.0f} evaluations")) == 3
    with pytest.raises(
        TooSlow, match=r"some .* evaluations for one datum, for which its budget, .*, has no room"
    ) as slow:
        nuts(Target(model, guide, x), **small, budget=f"{each[0] // 2:.0f} evaluations")
    assert each[0] / 3 < float(slow.value.needed.split()[1]) < 3 * each[0]


@pytest.mark.slow
def test_chains_that_stay_in_their_modes_are_no_reference() -> None:
    def far(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z.square(), 0.01), obs=x)

    def any_guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.ones(len(x)), 0.1))

    draws = nuts(Target(far, any_guide, torch.tensor([1.0])), num_warmup=50, num_draws=50, seed=1)
    assert "R-hat" in draws.flags[0]
    with pytest.raises(NotAReference, match=r"datum 0: R-hat.*Run longer chains"):
        draws.reference()


def test_gates_each_refuse_for_their_own_reason() -> None:
    torch.manual_seed(0)
    good, quiet = torch.randn(4, 500, 1, 2), torch.zeros(4, 500, 1, dtype=torch.bool)
    assert convergence(good, quiet).flags == ("",)
    shifted = good + torch.tensor([0.0, 0.0, 0.0, 0.5]).reshape(4, 1, 1, 1)
    assert "the chains disagree" in convergence(shifted, quiet).flags[0]
    diverged = quiet.clone()
    diverged[0, 3] = True
    assert convergence(good, diverged).flags == ("1 divergent transitions",)
    slow = good.cumsum(1) * 0.01 + good.mean((1,), keepdim=True)
    assert "effective sample size" in convergence(slow, quiet).flags[0]
    assert "one chain" in convergence(good[:1], quiet[:1]).flags[0]
    assert "undefined" in convergence(torch.zeros(4, 500, 1, 1), quiet).flags[0]


def test_bad_sizes_are_named() -> None:
    target = Target(model, guide, torch.tensor([1.0]))
    with pytest.raises(ValueError, match=r"num_draws must be an integer from 1 to .*got 0"):
        nuts(target, num_draws=0)
    with pytest.raises(IndexError, match="data must be a non-empty list"):
        nuts(target, [7])
