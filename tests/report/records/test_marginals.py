"""Errors of standard deviations and quantiles against those of a Gaussian, and the order of the rows."""

from dataclasses import replace

import torch

from elbowroom.inference.diagnostics.marginals import GRID_LEVELS
from elbowroom.inference.evidence.quadrature.quadrature import LEVELS
from elbowroom.report.records.marginals import marginal_errors, marginal_rows
from toys.report import DATA, NUM_CHAINS, NUM_DRAWS, toy


def test_errors_are_those_of_a_gaussian() -> None:
    """sd: σ/√(2n). Quantiles: √(p(1 − p)/n) / density, to the curvature of the distribution within two of these."""
    comparison = toy().comparison
    q = comparison.posteriors["guide"]
    normal, n = torch.distributions.Normal(0.0, 1.0), 2000
    grid = q.mean + q.sd * normal.icdf(GRID_LEVELS).reshape(-1, 1, 1)  # without Monte Carlo noise
    exact = replace(comparison, posteriors={"guide": replace(q, grid=grid, ess=torch.full((2,), float(n)))})
    errors = marginal_errors(exact, "guide")
    torch.testing.assert_close(errors.sd, q.sd / (2 * n) ** 0.5, rtol=0.05, atol=0)  # 200 quantiles lack the tails
    levels = torch.tensor(LEVELS)
    density = normal.log_prob(normal.icdf(levels)).exp()
    expected = ((levels * (1 - levels) / n).sqrt() / density).reshape(-1, 1, 1) * q.sd
    torch.testing.assert_close(errors.quantiles, expected, rtol=0.03, atol=0)


def test_mcmc_errors_use_the_smaller_effective_size() -> None:
    comparison = toy().comparison
    assert comparison.draws is not None
    found = comparison.draws.convergence
    size = torch.minimum(found.ess_bulk, found.ess_tail)
    assert not torch.allclose(size, torch.maximum(found.ess_bulk, found.ess_tail), rtol=0.01)
    nuts = comparison.posteriors["nuts"]
    fourth = ((nuts.grid - nuts.mean) ** 4).mean(0)
    expected = (fourth - nuts.sd**4).sqrt() / (2 * nuts.sd) / size.sqrt()
    torch.testing.assert_close(marginal_errors(comparison, "nuts").sd, expected)
    torch.testing.assert_close(expected, nuts.sd / (2 * NUM_CHAINS * NUM_DRAWS) ** 0.5, rtol=0.5, atol=0)


def test_rows_are_ordered_and_complete() -> None:
    comparison = toy().comparison
    rows = marginal_rows(comparison)
    expected = [
        (datum, latent, method)
        for datum in DATA
        for latent in ("z[0]", "z[1]")
        for method in ("quadrature", "guide", "importance", "nuts")
    ]
    assert [(r["datum"], r["latent"], r["method"]) for r in rows] == expected
    guide = comparison.posteriors["guide"]
    errors = marginal_errors(comparison, "guide")
    last = next(r for r in rows if (r["datum"], r["latent"], r["method"]) == (0, "z[1]", "guide"))
    assert last["mean"] == guide.mean[1, 1].item()
    assert last["sd_stderr"] == errors.sd[1, 1].item()
    assert last["q95_stderr"] == errors.quantiles[2, 1, 1].item()
