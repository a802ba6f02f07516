"""The comparison of VI, importance sampling, NUTS and quadrature, on a posterior that is known."""

import json
import math
import re

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Gates, Target, compare
from elbowroom.inference.diagnostics.marginals import GRID_LEVELS, wasserstein, wasserstein_floor
from elbowroom.report import comparison_record

SCALE = 0.8
SD = math.sqrt(0.5)


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x / 2 + 0.1, SCALE * SD).to_event(1))


@pytest.fixture(scope="module")
def comparison():
    with torch.random.fork_rng():
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        x = torch.randn(5, 2) * math.sqrt(2)
        result = compare(
            Target(model, guide, x),
            [3, 1],
            num_samples=4000,
            num_chains=2,
            num_warmup=60,
            num_draws=200,
            gates=Gates(1.05, 25),
        )
        torch.set_default_dtype(default)
    return x[[3, 1]], result


@pytest.mark.slow
def test_every_method_finds_the_posterior_and_the_guide_shows_its_error(comparison) -> None:
    x, result = comparison
    assert result.data == [3, 1]
    assert result.latents == ["z[0]", "z[1]"]
    assert result.reference == "quadrature"
    for method in ("importance", "nuts", "quadrature"):
        posterior = result.posteriors[method]
        error = (posterior.mean - x / 2).abs()
        assert bool((error <= 4.5 * posterior.mean_stderr + 1e-6).all()), method
    found = result.posteriors["guide"]
    assert bool(((found.mean - x / 2 - 0.1).abs() <= 4.5 * found.mean_stderr).all())
    assert bool(((found.sd / SD - SCALE).abs() < 4.5 * SCALE / math.sqrt(2 * 4000)).all())
    exact = result.posteriors["quadrature"]
    levels = torch.tensor([0.05, 0.5, 0.95])
    truth = x / 2 + SD * dist.Normal(0.0, 1.0).icdf(levels).reshape(3, 1, 1)
    torch.testing.assert_close(exact.quantiles(levels), truth, atol=2e-3, rtol=0)


def test_divergences_in_closed_form(comparison) -> None:
    _, result = comparison
    shift = 0.1**2 / 0.5
    reverse = 2 * (-math.log(SCALE) + (SCALE**2 + shift - 1) / 2)
    forward = 2 * (math.log(SCALE) + (1 + shift) / (2 * SCALE**2) - 0.5)
    torch.testing.assert_close(result.kl_q_p, torch.full((2,), reverse), atol=1e-7, rtol=0)
    torch.testing.assert_close(result.kl_p_q, torch.full((2,), forward), atol=1e-7, rtol=0)


def test_identity_holds_with_its_sides_computed_apart(comparison) -> None:
    x, result = comparison
    both = result.identity
    truth = dist.Normal(0.0, math.sqrt(2)).log_prob(x).sum(1)
    assert bool((both.residual.abs() < 4.5 * both.stderr).all())
    assert bool((both.stderr > 0).all())
    assert bool(((both.log_p - truth).abs() < 4.5 * both.log_p_stderr).all())
    assert bool(((both.elbo - truth + both.kl).abs() < 4.5 * both.elbo_stderr).all())
    assert not torch.equal(both.elbo, result.evidence["importance"].info["elbo"]), "the same noise on both sides"


def test_wasserstein_of_guide_is_the_closed_form_and_of_mcmc_is_noise(comparison) -> None:
    _, result = comparison
    # Between N(0.1, (0.8 sd)²) and N(0, sd²): mean over p of |0.1 − 0.2 sd Φ⁻¹(p)|.
    truth = (0.1 + (SCALE - 1) * SD * dist.Normal(0.0, 1.0).icdf(GRID_LEVELS)).abs().mean()
    noise = result.wasserstein_floor["guide"]
    assert bool(((result.wasserstein["guide"] - truth).abs() < 2 * noise).all())  # W₁ is a metric
    assert bool((result.wasserstein["nuts"] < 4 * result.wasserstein_floor["nuts"]).all())
    assert "quadrature" not in result.wasserstein


def test_wasserstein_floor_is_what_independent_draws_show(comparison) -> None:
    _, result = comparison
    exact = result.posteriors["quadrature"]
    torch.manual_seed(1)
    draws = exact.mean[0, 0] + exact.sd[0, 0] * torch.randn(400, 200)  # [repeats, draws]
    shown = (draws.quantile(GRID_LEVELS, dim=1) - exact.grid[:, :1, 0]).abs().mean(0)  # [repeats]
    floor = wasserstein_floor(exact, torch.full((2,), 200.0))[0, 0]
    assert shown.mean().item() == pytest.approx(floor.item(), rel=0.05)
    assert bool((wasserstein(exact, exact) == 0).all())


def test_record_is_json_with_a_row_for_each_datum_latent_and_method(comparison) -> None:
    _, result = comparison
    record = json.loads(json.dumps(result.record(), allow_nan=False))
    assert len(record["posteriors"]) == 2 * 2 * 4
    assert len(record["evidence"]) == 2
    first = record["posteriors"][0]
    assert first["datum"] == 3
    assert {"mean", "mean_stderr", "sd", "q05", "q50", "q95", "wasserstein", "flag"} <= set(first)
    assert {c["method"] for c in record["costs"]} == {"guide", "importance", "nuts", "quadrature"}
    nuts = next(c for c in record["costs"] if c["method"] == "nuts")
    assert nuts["evaluations_per_datum"] > 2 * 260
    assert nuts["seconds"] > 0


@pytest.mark.slow
def test_four_latents_fall_back_to_mcmc_as_the_reference() -> None:
    def wide_model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(4), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def wide_guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, SCALE * SD).to_event(1))

    target = Target(wide_model, wide_guide, torch.randn(1, 4))
    result = compare(target, num_samples=2000, num_chains=2, num_warmup=60, num_draws=150, gates=Gates(1.05, 25))
    assert result.reference == "nuts"
    assert result.identity is None
    assert "quadrature" not in result.evidence
    reverse = 4 * (-math.log(SCALE) + (SCALE**2 - 1) / 2)
    forward = 4 * (math.log(SCALE) + (SCALE**-2 - 1) / 2)
    assert abs(result.kl_q_p.item() - reverse) < 4.5 * result.kl_q_p_stderr.item()
    assert abs(result.kl_p_q.item() - forward) < 4.5 * result.kl_p_q_stderr.item()
    without = compare(target, num_samples=500, mcmc=False)
    assert without.reference is None
    assert without.wasserstein == {}
    assert bool(without.kl_p_q.isnan().all())


def test_what_the_budget_of_nuts_has_no_room_for_is_left_out_and_said() -> None:
    target, small = Target(model, guide, torch.randn(4, 2)), {"num_warmup": 5, "num_draws": 20, "num_chains": 1}
    whole = compare(target, [3, 1, 2], num_samples=50, **small)
    used = 3 * whole.draws.info["num_evaluations"]
    part = compare(target, [3, 1, 2], num_samples=50, **small, budget=f"{1.02 * used[:2].max() * 2:.0f} evaluations")
    assert part.data == [3, 1] and len(part.draws) == 2 and part.kl_q_p.shape == (2,) and not whole.notes
    assert part.posteriors["nuts"].mean[1, 0] == whole.posteriors["nuts"].mean[1, 0]
    assert re.search(r"first 2 of 3 data only: NUTS took .* s for one datum, and its budget, .* evaluations", str(part))
    none = compare(target, [3, 1], num_samples=50, **small, budget="30 evaluations")
    assert none.data == [3, 1] and none.draws is None and "nuts" not in none.posteriors
    assert "Without NUTS: it takes some" in comparison_record(none)["summary"][0]
