"""What is kept in RESULTS.md, and under which name."""

import re
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from benchmarks.registry import SCRIPTS
from benchmarks.results import RESULTS, kept, machine, report

ROWS = [("speed", "3 a second"), ("size", "5")]


def options(form: str = "default", own: str = "", aside: str = "", device: str = "cpu") -> Namespace:
    return Namespace(form=form, own=own, aside=aside, device=torch.device(device), threads=2)


def test_a_section_says_form_threads_and_machine(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report("speeds", "How fast?", ROWS, options(own="--epochs 3"))
    text = results.read_text()
    assert "## How fast?" in text and "| speed | 3 a second |" in text
    assert "default form, --epochs 3; threads: 2; on the processor" in text and machine(torch.device("cpu")) in text
    assert kept("speeds") == ROWS and kept("others") == []
    assert "3 a second" in capsys.readouterr().out


def test_a_section_takes_the_place_of_its_earlier_one_alone(results: Path) -> None:
    for form in ("default", "long"):
        report("speeds", "How fast?", ROWS, options(form))
        report("sizes", "How large?", ROWS, options(form))
    report("speeds", "How fast?", [("speed", "4 a second")], options())
    assert kept("speeds") == [("speed", "4 a second")]
    assert kept("speeds_long") == kept("sizes") == kept("sizes_long") == ROWS
    assert results.read_text().count("How fast?") == 2


@pytest.mark.parametrize(("form", "whole"), [("quick", True), ("default", False), ("long", False)])
def test_quick_figures_and_parts_are_not_kept(
    form: str, whole: bool, results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report("speeds", "How fast?", ROWS, options(form), whole=whole)
    assert not results.exists()
    assert "3 a second" in capsys.readouterr().out


def test_a_card_is_named_and_has_a_section_of_its_own(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    report("speeds", "How fast?", ROWS, options(device="cuda"))
    assert kept("speeds_cuda") == ROWS and kept("speeds") == []
    assert "a card" in results.read_text() and "on the card" in results.read_text()


def test_a_device_that_was_not_taken_is_a_row(results: Path) -> None:
    report("speeds", "How fast?", ROWS, options(aside="run on the processor, for its tables"))
    assert kept("speeds")[-1] == ("device", "run on the processor, for its tables")


def test_every_section_of_the_file_is_a_scripts() -> None:
    text = RESULTS.read_text()
    opened, closed = (re.findall(rf"^<!-- {mark}([^/ ]\S*) -->$", text, re.MULTILINE) for mark in ("", "/"))
    assert opened == closed and len(set(opened)) == len(opened)
    names = ("seconds", *(script.name for script in SCRIPTS))
    assert not [key for key in opened if not key.startswith(names)]
