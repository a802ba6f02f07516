"""Bars count what they are told, and are seen only where that is wanted; a log gets a line a minute."""

import sys
import time
import warnings
from types import SimpleNamespace

import pytest

from elbowroom.inference import importance
from elbowroom.inference.progress import progress_bar
from toys.programs import conjugate

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elbowroom.inference.progress._is_watched", lambda: True)


@pytest.mark.usefixtures("terminal")
def test_a_bar_counts_and_says_what_it_is_told(capsys: Captured) -> None:
    with progress_bar(20, "chains", "draw", True, done=3) as bar:
        bar(4)
        bar()
        bar._bar.start_t -= 10  # type: ignore[attr-defined]  # as if it had begun long ago
        bar._bar.last_print_t -= 10  # type: ignore[attr-defined]
        bar.note("two modes")
        bar.reach(10)
        shown = capsys.readouterr().err
    assert "chains: " in shown and "10/20" in shown and "draw" in shown and "two modes" in shown


@pytest.mark.usefixtures("terminal")
def test_quick_work_leaves_nothing_on_the_terminal(capsys: Captured) -> None:
    """What is printed next must stand on a line of its own."""
    with progress_bar(20, "examine", "datum", True) as bar:
        bar(4)
        bar.reach(12)
        bar.reach(20)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("terminal")
def test_ticks_are_added_to_what_was_done_before(capsys: Captured) -> None:
    with progress_bar(20, "fit", "step", True, done=3) as bar:
        bar(4)
        bar()
        bar._bar.refresh()  # type: ignore[attr-defined]
    assert "8/20" in capsys.readouterr().err


def test_a_log_gets_a_forecast_and_a_line_a_minute(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress_bar(1000, "fit", "step", True, done=100) as bar:
        for second in range(1, 151):
            now[0] = float(second)
            bar(3)
            bar.note(f"loss {second}")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "fit: 106 of 1000 steps, about 5 min more; loss 1",
        "fit: 286 of 1000 steps, about 4 min more; loss 61",
        "fit: 466 of 1000 steps, about 3 min more; loss 121",
    ]


def test_what_was_made_once_is_not_forecast_again(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first step of half a minute, in which the others were compiled, and then three steps a second."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress_bar(100, "fit", "step", True) as bar:
        now[0] = 30.0
        bar()
        for second in range(1, 11):
            now[0] = 30.0 + second
            bar(3)
    assert capsys.readouterr().err.splitlines() == ["fit: 4 of 100 steps, about 32 s more"]


def test_work_of_a_few_seconds_is_not_forecast(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress_bar(8, "fit", "step", True) as bar:
        for second in range(1, 9):
            now[0] = float(second)
            bar()
    assert capsys.readouterr().err == ""


def test_a_log_gets_nothing_of_quick_work(capsys: Captured) -> None:
    with progress_bar(1000, "fit", "step", True) as bar:
        for _ in range(1000):
            bar()
    assert capsys.readouterr() == ("", "")


def test_a_notebook_without_widgets_gets_a_bar_and_no_advice(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr("elbowroom.inference.progress.find_spec", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with progress_bar(20, "fit", "step", True) as bar:
            bar(8)
            bar._bar.refresh()  # type: ignore[attr-defined]
    assert "8/20" in capsys.readouterr().err


def test_no_bar_is_silent(capsys: Captured) -> None:
    with progress_bar(20, "fit", "step", False) as bar:
        bar(4)
        bar.note("nothing")
        bar.reach(10)
    assert capsys.readouterr() == ("", "")


def test_a_bar_changes_no_number() -> None:
    target = conjugate().target()
    assert importance(target, progress=True).value.equal(importance(target).value)
