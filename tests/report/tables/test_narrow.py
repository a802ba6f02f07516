"""Tables in narrow places: as wide as they are told, by whom it may concern, and nothing of them lost."""

import re
import sys

import pytest

from elbowroom.report.tables.render import Sheet, note, render

COLUMNS = [("datum", "right"), ("lower", "right"), ("upper", "right"), ("method", "left"), ("flag", "left")]


def sheet() -> Sheet:
    found = Sheet("log p(x) of each datum, from both sides", COLUMNS)
    found.add("12", "-84.481 ± 0.012", "-84.470 ± 0.013", "adapted importance", "the chains disagree", style="bold red")
    found.add_line()
    found.add("3", "-101.220 ± 0.004", "-101.219 ± 0.004", "quadrature", "")
    return found


@pytest.mark.parametrize("width", [24, 40, 60, 80])
def test_no_line_is_wider_than_there_is_room(width: int) -> None:
    text = render([note("Every number comes with its error, and a reason not to trust it."), sheet()], width=width)
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    for part in ("12", "-84.481 ± 0.012", "-101.219 ± 0.004", "adapted importance", "quadrature"):
        assert set(part.split()) <= set(words.split()), part


def test_as_a_list_each_cell_stands_after_its_header() -> None:
    lines = render([sheet()], width=24).splitlines()
    assert "  lower: -84.481 ± 0.012" in lines and "  method: quadrature" in lines
    assert not any(line.strip() == "flag:" for line in lines)


def test_columns_are_respected_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, render([sheet()]).splitlines())) <= 60
    monkeypatch.setenv("COLUMNS", "")
    assert max(map(len, render([sheet()]).splitlines())) > 60


def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search("\x1b\\[", render([sheet()], width=100))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search("\x1b", render([sheet()], width=100))
