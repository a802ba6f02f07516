"""`Comparison.to_arviz`: the groups of its netCDF file in memory, read by ArviZ with and without MCMC."""

from dataclasses import replace

import numpy as np
import pytest

from toys import arviz_oracle
from toys.report import DATA, toy


def test_arviz_reads_the_comparison() -> None:
    comparison = toy().comparison
    assert comparison.draws is not None
    data = comparison.to_arviz(observed=toy().x[DATA])
    assert {"posterior", "sample_stats", "convergence", "guide", "exact", "observed_data"} < arviz_oracle.groups(data)
    table = arviz_oracle.summary(data)
    assert list(table.index) == [f"z[{datum}, {latent}]" for datum in DATA for latent in (0, 1)]
    for column, name in arviz_oracle.DIAGNOSTICS.items():
        np.testing.assert_allclose(table[column], getattr(comparison.draws.convergence, name).flatten(), rtol=1e-10)
    np.testing.assert_array_equal(data.observed_data["x"].sel(datum=DATA[1]), toy().x[DATA[1]])
    for plot in arviz_oracle.PLOTS:
        assert arviz_oracle.drawn(plot, data, coords={"datum": DATA[0]}) >= 1


def test_estimates_stand_beside_the_draws_with_errors_and_flags() -> None:
    base = toy().comparison
    sampled = replace(base.evidence["importance"], flags=("k̂ is 1.2", ""))
    exact = replace(base.evidence["quadrature"], flags=("", "did not converge"))
    evidence = replace(base, evidence={"importance": sampled, "quadrature": exact}).to_arviz().log_evidence
    for name, estimate in {"importance": sampled, "exact": exact}.items():
        np.testing.assert_array_equal(evidence[name], estimate.value)
        np.testing.assert_array_equal(evidence[f"{name}_stderr"], estimate.stderr)
        assert evidence[name].attrs["bound"] == estimate.bound and evidence[name].attrs["units"] == "nats"
    assert evidence["flag"].values.tolist() == ["k̂ is 1.2", ""]
    assert evidence["exact_flag"].values.tolist() == ["", "did not converge"]
    assert evidence["datum"].values.tolist() == DATA


def test_without_mcmc_arviz_reads_the_guide() -> None:
    comparison = toy(4, mcmc=False).comparison
    data = comparison.to_arviz()
    assert arviz_oracle.groups(data) == {"guide", "marginals", "log_evidence"}
    table = arviz_oracle.summary(data, group="guide", kind="stats")
    np.testing.assert_allclose(table["mean"], comparison.guide_draws.mean(0).flatten(), rtol=1e-10)


def test_data_other_than_the_compared_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="observed has 3 rows, expected 2"):
        toy().comparison.to_arviz(observed=toy().x)
