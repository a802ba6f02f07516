"""Comparisons on disk: netCDF as ArviZ and xarray read it, JSON, and nothing half written."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from elbowroom.report import comparison_record, save_json, save_netcdf, to_datatree
from toys import arviz_oracle
from toys.report import DATA, NUM_CHAINS, NUM_DRAWS, SIZE, toy, with_draws

GROUPS = {"posterior", "sample_stats", "convergence", "guide", "exact", "marginals", "log_evidence", "observed_data"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A netCDF file of the toy's comparison, in a folder that does not exist yet."""
    made, folder = toy(), tmp_path_factory.mktemp("archive")
    return save_netcdf(made.comparison, folder / "new" / "comparison.nc", observed=made.x[DATA], attrs={"run": "a"})


def test_the_file_holds_what_the_tree_held(path: Path) -> None:
    tree = to_datatree(toy().comparison, observed=toy().x[DATA], attrs={"run": "a"})
    with xr.open_datatree(path, engine="h5netcdf") as back:
        xr.testing.assert_identical(back.load(), tree)
    assert set(tree.children) == GROUPS


def test_draws_have_arviz_dimensions_and_the_data_as_coordinates(path: Path) -> None:
    draws = toy().comparison.draws
    assert draws is not None
    with xr.open_dataset(path, group="posterior", engine="h5netcdf") as posterior:
        assert posterior["z"].dims == ("chain", "draw", "datum", "latent")
        np.testing.assert_array_equal(posterior["z"].sel(datum=DATA[1]), draws.flat[:, :, 1])
        assert posterior["datum"].values.tolist() == DATA
        assert posterior["latent"].values.tolist() == [0, 1]
        assert posterior.attrs["inference_library"] == "pyro-ppl"
        assert posterior.attrs["sampling_time"] == 1.25
        assert posterior.attrs["seed"] == 5
        assert posterior.attrs["run"] == "a"
    with xr.open_dataset(path, group="sample_stats", engine="h5netcdf") as stats:
        assert set(stats) == {"lp", "diverging", "n_steps", "acceptance_rate", "step_size"}
        assert stats["diverging"].dtype == bool
        np.testing.assert_array_equal(stats["lp"], draws.stats["lp"])
    with xr.open_dataset(path, group="guide", engine="h5netcdf") as guide:
        np.testing.assert_array_equal(guide["z"][0], toy().comparison.guide_draws)


def test_arviz_reads_summarises_and_plots_it(path: Path) -> None:
    draws = toy().comparison.draws
    assert draws is not None
    data = arviz_oracle.read(path)
    assert arviz_oracle.groups(data) == GROUPS
    assert data.posterior.sizes["chain"] == NUM_CHAINS
    assert data.posterior.sizes["draw"] == NUM_DRAWS
    table = arviz_oracle.summary(data)
    assert list(table.index) == [f"z[{datum}, {latent}]" for datum in DATA for latent in (0, 1)]
    np.testing.assert_allclose(table["mean"], draws.mean.flatten(), rtol=1e-12)
    np.testing.assert_allclose(table["r_hat"], draws.convergence.rhat.flatten(), rtol=1e-12)
    for plot in arviz_oracle.PLOTS:
        assert arviz_oracle.drawn(plot, data, coords={"datum": DATA[1]}) >= 1


def test_energies_of_a_sampler_that_has_them_are_kept_and_diagnosed() -> None:
    comparison = toy().comparison
    assert comparison.draws is not None
    energy = torch.randn(NUM_CHAINS, NUM_DRAWS, len(DATA))
    draws = replace(comparison.draws, stats=comparison.draws.stats | {"energy": energy})
    tree = to_datatree(replace(comparison, draws=draws))
    assert tree["sample_stats/energy"].dims == ("chain", "draw", "datum")
    np.testing.assert_array_equal(tree["sample_stats/energy"], energy)
    assert draws.convergence.ebfmi is not None
    np.testing.assert_array_equal(tree["convergence/ebfmi"], draws.convergence.ebfmi)
    least = arviz_oracle.bfmi(energy[..., 0].numpy()).min()
    np.testing.assert_allclose(tree["convergence/ebfmi"][0], least, rtol=1e-12)
    mcse = [arviz_oracle.mcse(draws.flat[:, :, 0, n].numpy(), "sd") for n in range(2)]
    np.testing.assert_allclose(mcse, tree["convergence/mcse_sd"][0], rtol=1e-9)
    assert "ebfmi" not in to_datatree(comparison)["convergence"]


def test_other_groups_hold_the_numbers_of_the_comparison(path: Path) -> None:
    comparison = toy().comparison
    info = comparison.evidence["quadrature"].info
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        np.testing.assert_array_equal(tree["exact/mean"], info["mean"])
        np.testing.assert_array_equal(tree["exact/covariance"], info["covariance"])
        exact = tree["posterior/z"].mean(("chain", "draw")) - tree["exact/mean"]  # aligned by datum and latent
        assert exact.shape == (2, 2)
        marginals = tree["marginals"]
        guide = marginals["sd"].sel(estimator="guide", datum=DATA[1], latent=1)
        assert guide.item() == comparison.posteriors["guide"].sd[1, 1].item()
        assert marginals["quantile"].dims == ("estimator", "probability", "datum", "latent")
        assert np.isnan(marginals["wasserstein"].sel(estimator="quadrature")).all()
        np.testing.assert_array_equal(marginals["wasserstein"].sel(estimator="guide"), comparison.wasserstein["guide"])
        evidence = tree["log_evidence"]
        assert evidence["elbo"].attrs == {"units": "nats", "bound": "lower"}
        assert evidence["exact"].attrs["bound"] == "exact"
        np.testing.assert_array_equal(evidence["kl_q_p"], comparison.kl_q_p)
        assert evidence["kl_q_p"].sel(datum=DATA[0]).item() == comparison.kl_q_p[0].item()
        np.testing.assert_array_equal(tree["observed_data/x"], toy().x[DATA])
        assert tree["observed_data/x"].dims == ("datum", "x_dim_0")
        assert tree["observed_data/x"].shape == (2, SIZE)


def test_flags_are_kept_as_text(tmp_path: Path) -> None:
    base = toy().comparison
    sampled = base.evidence["importance"]
    flagged = replace(sampled, flags=("k̂ is 1.2", ""))
    path = save_netcdf(replace(base, evidence=base.evidence | {"importance": flagged}), tmp_path / "c.nc")
    with xr.open_dataset(path, group="log_evidence", engine="h5netcdf") as evidence:
        assert evidence["flag"].values.tolist() == ["k̂ is 1.2", ""]


def test_without_mcmc_and_quadrature_their_groups_are_absent() -> None:
    tree = to_datatree(toy(4, mcmc=False).comparison)
    assert set(tree.children) == {"guide", "marginals", "log_evidence"}
    assert tree["guide/z"].shape == (1, 2000, 2, 4)


def test_several_sites_keep_their_own_dimensions() -> None:
    base = toy(3).comparison
    assert base.draws is not None
    z = base.draws.flat
    named = replace(base, latents=["v[0]", "v[1]", "w"])
    draws = replace(base.draws, z={"v": z[..., :2], "w": z[..., 2]}, latents=named.latents)
    tree = to_datatree(replace(named, draws=draws))
    assert tree["posterior/v"].dims == ("chain", "draw", "datum", "v_dim_0")
    assert tree["posterior/w"].dims == ("chain", "draw", "datum")
    np.testing.assert_array_equal(tree["posterior/w"], z[..., 2])
    assert tree["exact/mean"]["latent"].values.tolist() == ["v[0]", "v[1]", "w"]


def test_observed_data_must_be_the_compared_ones() -> None:
    with pytest.raises(ValueError, match="observed has 3 rows, expected 2"):
        to_datatree(toy().comparison, observed=toy().x)


def test_json_holds_every_row(tmp_path: Path) -> None:
    comparison = toy().comparison
    path = save_json(comparison, tmp_path / "new" / "comparison.json")
    record = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    assert record == json.loads(json.dumps(comparison_record(comparison)))
    assert record["schema"] == "elbowroom/comparison/1"
    assert record["data"] == DATA
    assert record["versions"]["pyro-ppl"]
    assert len(record["posteriors"]) == 2 * 2 * 4
    assert all(row["sd_stderr"] is not None for row in record["posteriors"])
    assert record["evidence"][1]["exact"] == comparison.evidence["quadrature"].value[1].item()
    assert record["evidence"][0]["exact_flag"] == ""
    exact = next(row for row in record["costs"] if row["method"] == "quadrature")
    assert exact["ess"] is None  # infinite
    draws = comparison.draws
    assert draws is not None
    assert record["mcmc"]["data"][1]["rhat"] == draws.convergence.rhat[1].max().item()
    assert record["mcmc"]["num_warmup"] == 10


def test_json_without_mcmc() -> None:
    assert comparison_record(toy(4, mcmc=False).comparison)["mcmc"] is None


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    base = toy().comparison
    assert base.draws is not None
    z = base.draws.z["z"].clone()
    z[..., 0, 0] = 1.0  # chains that never move have no R-hat
    sampled = base.evidence["importance"]
    one_sample = replace(sampled, stderr=torch.full((2,), torch.inf))
    comparison = with_draws(replace(base, evidence=base.evidence | {"importance": one_sample}), z)
    assert comparison.draws is not None
    assert bool(comparison.draws.convergence.rhat[0].isnan().any())
    record = json.loads(save_json(comparison, tmp_path / "c.json").read_text(), parse_constant=_refuse)
    assert record["evidence"][0]["importance_stderr"] is None
    assert record["mcmc"]["data"][0]["rhat"] is None
    assert "R-hat is undefined" in record["mcmc"]["data"][0]["flag"]


@pytest.mark.parametrize("save", [save_json, save_netcdf])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, before = tmp_path / "c", b"an older file"
    path.write_bytes(before)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    with pytest.raises(OSError, match="No space left"):
        save(toy(3).comparison, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["c"]


def test_who_reads_the_old_file_goes_on_reading_it(tmp_path: Path) -> None:
    path = save_json(toy().comparison, tmp_path / "c.json")
    before = path.read_text()
    with open(path) as reader:
        save_json(toy(3).comparison, path)
        assert reader.read() == before
    assert path.read_text() != before


def test_others_may_read_what_was_saved(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert save_json(toy().comparison, tmp_path / "c.json").stat().st_mode == plain.stat().st_mode


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")
