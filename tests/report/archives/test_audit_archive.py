"""The netCDF file of an audit: ArviZ and plain xarray read it, and it says what the JSON says."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from elbowroom.report.archives.audit_json import audit_record
from elbowroom.report.archives.audit_netcdf import audit_datatree, save_audit_netcdf
from toys import arviz_oracle
from toys.audit_results import EXPLODED, HOSTILE, bad_audit, short_audit, tabular_audit

KINDS = (bad_audit, short_audit, pytest.param(tabular_audit, marks=pytest.mark.slow))


@pytest.fixture(scope="module")
def file_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], Path]:
    """The file of an audit of a kind, written once."""
    folder = tmp_path_factory.mktemp("audit")
    return cache(lambda kind: save_audit_netcdf(kind(), folder / f"{kind.__name__}.nc"))


@pytest.fixture
def bad_file(file_of: Callable[[Any], Path]) -> Path:
    return file_of(bad_audit)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_file_holds_what_the_json_holds(kind: Any, file_of: Callable[[Any], Path]) -> None:
    audit = kind()
    record = audit_record(audit)
    with xr.open_datatree(file_of(kind)) as tree:
        for name, group in record["groups"].items():
            assert set(tree[name].data_vars) == set(group["variables"])
            for key, variable in group["variables"].items():
                array = tree[name][key]
                assert list(array.dims) == list(variable["dims"])
                assert_same(array.values, variable["values"])
                assert array.attrs.get("long_name", "") == variable["about"]
            for dim, labels in group["coords"].items():
                assert tree[name][dim].values.tolist() == labels
        assert tree["verdict"]["sentence"].values.tolist() == [f["sentence"] for f in record["verdict"]]
        for key in ("value", "low", "high"):
            assert_same(tree["verdict"][key].values, [number[key] for number in record["numbers"].values()])
        assert tree.attrs["schema"] == record["schema"] and tree.attrs["verdict"] == audit.verdict


def assert_same(array: np.ndarray, values: Any) -> None:
    """Equal, where null stands for all that is not finite."""
    if array.dtype.kind in "fc":
        expected = np.array(values, dtype=float)
        np.testing.assert_array_equal(np.where(np.isfinite(array), array, np.nan), expected)
    else:
        assert array.tolist() == values


@pytest.mark.slow
def test_arviz_reads_it(bad_file: Path) -> None:
    audit = bad_audit()
    assert audit.portrait is not None and audit.portrait.posterior is not None and audit.x is not None
    data = arviz_oracle.read(bad_file)
    assert {"posterior", "guide", "observed_data", "agreement", "convergence", "means"} <= arviz_oracle.groups(data)
    assert dict(data.posterior.sizes) == {"chain": 1, "draw": 600, "datum": 6, "latent": 2}
    np.testing.assert_array_equal(data.posterior["z"].values[0], audit.portrait.posterior.numpy())
    np.testing.assert_array_equal(data.guide["z"].values[0], audit.portrait.guide.numpy())
    assert data.posterior["datum"].values.tolist() == list(audit.portrait.data)
    np.testing.assert_array_equal(data.observed_data["x"].values, audit.x.numpy())
    summary = arviz_oracle.summary(data.sel(datum=0), kind="stats")
    assert summary.loc[f"z[{HOSTILE}]", "mean"] == pytest.approx(audit.portrait.posterior[:, 0, 1].mean().item())


def test_plain_xarray_reads_a_group(bad_file: Path) -> None:
    with xr.open_dataset(bad_file, group="decomposition") as found:
        assert found.sizes["datum"] == 60 and found["log_p"].attrs["units"] == "nats"
        assert np.isneginf(found["ladder"].sel(rung="encoder").values[8])  # infinity is kept, unlike in JSON
        assert found["ladder"].sel(rung="encoder").values[EXPLODED] == -4.1e17
        assert np.isnan(found["room"].values[50:]).all() and not np.isnan(found["room"].values[:50]).any()
        assert found["flag"].values[0] == "" and found["flag"].values[EXPLODED]


def test_a_verdict_without_a_sentence_and_odd_provenance(tmp_path: Path) -> None:
    audit = replace(short_audit(), findings=(), numbers={}, provenance={"quick": True, "shape": (2, 3), "none": None})
    tree = audit_datatree(audit)
    assert tree["verdict"].sizes == {"number": 0, "finding": 0}
    with xr.open_datatree(save_audit_netcdf(audit, tmp_path / "audit.nc")) as read:
        assert read.attrs["provenance_quick"] == 1 and read.attrs["provenance_shape"] == "(2, 3)"


def test_what_was_audited_is_in_both_files(tmp_path: Path) -> None:
    about: dict[str, Any] = {"data": {"sha256": "ab12", "threshold": 0.5}, "model": {"prior": None}}
    audit = replace(short_audit(), about=about, announced=("nobody asked for it", "a second sentence"))
    record = audit_record(audit)
    assert record["about"] == about and record["announced"] == ["nobody asked for it", "a second sentence"]
    with xr.open_datatree(save_audit_netcdf(audit, tmp_path / "audit.nc")) as read:
        assert json.loads(read.attrs["about"]) == about
        assert read.attrs["announced"] == "nobody asked for it\na second sentence"
