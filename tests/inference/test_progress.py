"""Bars count what they are told, and are seen only where that is wanted."""

import pytest

from elbowroom.inference import importance
from elbowroom.inference.progress import progress_bar
from toys.programs import conjugate


def test_a_bar_counts_and_says_what_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(20, "chains", "draw", True, done=3) as bar:
        bar(4)
        bar()
        bar._bar.start_t -= 10  # as if it had begun long ago
        bar._bar.last_print_t -= 10
        bar.note("two modes")
        bar.reach(10)
        shown = capsys.readouterr().err
    assert "chains: " in shown and "10/20" in shown and "draw" in shown and "two modes" in shown


def test_quick_work_leaves_nothing_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed next must stand on a line of its own."""
    with progress_bar(20, "examine", "datum", True) as bar:
        bar(4)
        bar.reach(12)
        bar.reach(20)
    assert capsys.readouterr().err == ""


def test_ticks_are_added_to_what_was_done_before(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(20, "fit", "step", True, done=3) as bar:
        bar(4)
        bar()
        bar._bar.refresh()
    assert "8/20" in capsys.readouterr().err


def test_no_bar_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(20, "fit", "step", False) as bar:
        bar(4)
        bar.note("nothing")
        bar.reach(10)
    assert capsys.readouterr() == ("", "")


def test_a_bar_changes_no_number() -> None:
    target = conjugate().target()
    assert importance(target, progress=True).value.equal(importance(target).value)
