"""What stands above inference/ is found by name, and every name that pyproject gives leads to a function."""

import tomllib
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from elbowroom.inference import entry_points as found_by_name
from elbowroom.inference.entry_points import REPORTS, report_function

DECLARED = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["entry-points"][REPORTS]


@pytest.mark.parametrize("name", DECLARED)
def test_a_declared_name_leads_to_a_function(name: str) -> None:
    function = report_function(name, "nothing")
    assert f"{function.__module__}:{function.__name__}" == DECLARED[name]


def test_an_installation_without_the_name_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    old = EntryPoints([EntryPoint("audit", DECLARED["audit"], REPORTS)])
    monkeypatch.setattr(found_by_name, "entry_points", lambda **which: old.select(**which))
    assert report_function("audit", "nothing").__name__ == "save_audit"
    with pytest.raises(
        RuntimeError, match=r"no entry point 'draws_to_arviz'.*pip install -e \.`; until then f\(draws\)"
    ):
        report_function("draws_to_arviz", "f(draws)")
