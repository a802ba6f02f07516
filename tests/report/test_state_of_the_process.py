"""Law 7 for reports: tables, records and files change nothing that the process shares, nor its generators.

Figures: see test_figure_files.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elbowroom import report
from toys.audit_results import bad_audit
from toys.explorations import sequences
from toys.figures import FIGURES
from toys.global_state import untouched
from toys.report import toy


def draws() -> Any:
    return toy().comparison.draws


def estimates() -> Any:
    """By importance sampling and by quadrature."""
    return toy().comparison.evidence["importance"], toy().comparison.evidence["quadrature"]


REPORTS: dict[str, Callable[[Path], Any]] = {
    "audit_datatree": lambda path: report.audit_datatree(bad_audit()),
    "audit_record": lambda path: report.audit_record(bad_audit()),
    "audit_table": lambda path: report.audit_table(bad_audit(), width=100),
    "bounds_table": lambda path: report.bounds_table(*estimates()),
    "bracket_table": lambda path: report.bracket_table(bad_audit().bracket),
    "comparison_record": lambda path: report.comparison_record(toy().comparison),
    "comparison_table": lambda path: report.comparison_table(toy().comparison),
    "comparison_to_arviz": lambda path: report.comparison_to_arviz(toy().comparison),
    "draws_datatree": lambda path: report.draws_datatree(draws()),
    "draws_to_arviz": lambda path: report.draws_to_arviz(draws()),
    "evidence_table": lambda path: report.evidence_table(*estimates()),
    "is_picture": lambda path: report.is_picture("bag"),
    "look": lambda path: report.look("guide"),
    "save_audit": lambda path: report.save_audit(bad_audit(), path),
    "save_audit_json": lambda path: report.save_audit_json(bad_audit(), path / "a.json"),
    "save_audit_netcdf": lambda path: report.save_audit_netcdf(bad_audit(), path / "a.nc"),
    "save_explorer": lambda path: report.save_explorer(sequences(), path / "a.html"),
    "save_figure": lambda path: report.save_figure(FIGURES["loss"](), path / "a.png"),
    "save_html": lambda path: report.save_html(bad_audit(), path / "a.html"),
    "save_json": lambda path: report.save_json(toy().comparison, path / "a.json"),
    "save_netcdf": lambda path: report.save_netcdf(toy().comparison, path / "a.nc"),
    "summary": lambda path: report.summary(toy().comparison),
    "to_datatree": lambda path: report.to_datatree(toy().comparison),
    "training_table": lambda path: report.training_table([{"epoch": 1, "train_loss": 9.0}]),
    "with_error": lambda path: report.with_error(1.0, 0.1),
}


def test_every_public_name_is_here() -> None:
    calls = {name for name in report.__all__ if not isinstance(getattr(report, name), type)}
    figures = {name for name in calls if name.endswith("_figure") and name != "save_figure"}
    assert set(REPORTS) == calls - figures


@pytest.mark.parametrize("name", REPORTS)
def test_nothing_is_changed(name: str, tmp_path: Path) -> None:
    toy(), bad_audit(), sequences()
    with untouched():
        REPORTS[name](tmp_path)
