"""The versions that a file names: those of the libraries that are there."""

from importlib.metadata import PackageNotFoundError, version

import pytest
import torch

from elbowroom.report import draws_datatree
from elbowroom.report.records import versions as file_of_versions
from elbowroom.report.records.versions import versions
from toys.draws import draws_of


def test_versions_are_those_installed() -> None:
    assert versions() == {name: version(name) for name in ("elbowroom", "torch", "pyro-ppl", "numpy", "arviz")}


def test_a_file_can_be_written_where_there_is_no_arviz(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> str:
        if name == "arviz":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(file_of_versions, "version", without)
    attrs = draws_datatree(draws_of({"w": torch.randn(2, 8, 3)})).attrs
    assert "arviz_version" not in attrs and attrs["torch_version"] == version("torch")
