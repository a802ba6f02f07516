"""Objects of the installed ArviZ: of which kind they are, and what is said where it cannot be."""

import sys
from pathlib import Path

import arviz as az
import numpy as np
import pytest
import torch
import xarray as xr

from elbowroom.inference import Estimate
from elbowroom.report import comparison_to_arviz, draws_datatree, draws_to_arviz
from elbowroom.report.archives.arviz_objects import arviz_object
from toys import arviz_oracle
from toys.draws import draws_of
from toys.report import toy


def test_it_is_what_the_installed_arviz_takes() -> None:
    kind = az.InferenceData if arviz_oracle.OLD else xr.DataTree
    draws = draws_of({"w": torch.randn(2, 8, 3)})
    assert type(draws_to_arviz(draws)) is kind and type(comparison_to_arviz(toy().comparison)) is kind
    tree = draws_datatree(draws)
    made = arviz_object(tree)
    assert made.attrs == tree.attrs and made.attrs["creation_library"] == "elbowroom"
    for name, node in tree.children.items():
        xr.testing.assert_identical(arviz_oracle.group(made, name), node.to_dataset())


@pytest.mark.parametrize("text", [None, "import matplotlib\nmatplotlib.was_here_in_3_10"])
def test_arviz_that_cannot_be_imported(text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not installed, or older than what it uses: ArviZ 1.1 looks for what matplotlib 3.11 no longer has."""
    monkeypatch.setitem(sys.modules, "arviz", None)
    if text is not None:
        monkeypatch.delitem(sys.modules, "arviz")
        (tmp_path / "arviz.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"to_arviz needs ArviZ.*: pip install --upgrade 'arviz>=0\.23'"):
        draws_to_arviz(draws_of({"w": torch.randn(2, 8, 3)}))


def test_arviz_writes_and_reads_its_object(tmp_path: Path) -> None:
    draws = draws_of({"z": torch.randn(2, 8, 3, 2), "w": torch.randn(2, 8, 3)})
    flagged = Estimate(torch.zeros(3), torch.ones(3), "lower", flags=("", "k̂ is 1.2", ""))
    data = draws_to_arviz(draws, estimates={"importance": flagged})
    data.to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    back = arviz_oracle.read(tmp_path / "draws.nc")
    for name in arviz_oracle.groups(data):
        xr.testing.assert_identical(arviz_oracle.group(back, name).load(), arviz_oracle.group(data, name))
    assert back.log_evidence["importance_flag"].values.tolist() == ["", "k̂ is 1.2", ""]


def test_the_tree_is_a_file_too(tmp_path: Path) -> None:
    draws = draws_of({"z": torch.randn(2, 8, 3, 2)})
    draws_datatree(draws, data=[4, 2, 0]).to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "draws.nc", group="posterior", engine="h5netcdf") as posterior:
        np.testing.assert_array_equal(posterior["z"].sel(datum=2), draws.z["z"][:, :, 1])


def test_sites_that_are_called_like_dimensions(tmp_path: Path) -> None:
    """Each has a variable, which says what its site is called; the file can be written."""
    z = {"datum": torch.randn(2, 8, 3), "latent": torch.randn(2, 8, 3, 2), "a/b": torch.randn(2, 8, 3)}
    tree = draws_datatree(draws_of(z))
    assert set(tree["posterior"].data_vars) == {"datum_", "latent_", "a_b"}
    for name, variable in {"datum": "datum_", "latent": "latent_", "a/b": "a_b"}.items():
        np.testing.assert_array_equal(tree["posterior"][variable], z[name])
        assert tree["posterior"][variable].attrs["long_name"] == f"latent site {name!r}"
    tree.to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    alone = draws_datatree(draws_of({"latent": torch.randn(2, 8, 3, 2)}))
    assert alone["posterior"]["latent_"].dims == ("chain", "draw", "datum", "latent")
    assert arviz_oracle.summary(arviz_object(alone).sel(datum=0)).shape[0] == 2
