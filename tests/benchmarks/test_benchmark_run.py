"""A run of the benchmarks: all of them are listed, one that fails is named, and the others go on."""

import os
import sys
from pathlib import Path

import pytest

import benchmarks.__main__ as command
from benchmarks.registry import MINUTE, SCRIPTS, Script
from benchmarks.results import kept

FOLDER = Path(command.__file__).parent


@pytest.fixture(autouse=True)
def data_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELBOWROOM_DATA", "somewhere")


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is run, in the place of running it; `digits` fails."""
    asked: list[tuple[str, str]] = []

    def run(script: Script, form: str, passed: list[str], environment: dict[str, str]) -> tuple[float, str]:
        asked.append((script.name, " ".join([form, *passed])))
        return 7.0, "exit status 1" if script.name == "digits" else ""

    monkeypatch.setattr(command, "run", run)
    return asked


def test_every_script_is_listed_and_all_of_them_are_short_enough() -> None:
    files = {path.stem for path in FOLDER.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()}
    assert sorted(files - {"__main__"}) == sorted(script.name for script in SCRIPTS)
    quick, default = (sum(script.seconds.get(form, 0) for script in SCRIPTS) for form in ("quick", "default"))
    assert quick <= 5 * MINUTE and default <= 40 * MINUTE
    listed = command.listed()
    assert all(script.shows in listed for script in SCRIPTS)


def test_one_that_fails_is_named_and_the_others_go_on(
    runs: list[tuple[str, str]], results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([]) == 1
    assert [name for name, _ in runs] == [script.name for script in SCRIPTS if "default" in script.seconds]
    said = capsys.readouterr()
    assert said.err == "failed: digits (exit status 1)\n"
    seconds = {name: (form, taken) for name, form, taken in kept("seconds")}
    assert seconds["growth"] == ("default", "7") and "digits" not in seconds
    assert "min left" in said.out and "about 7 s" not in said.out
    command.main(["growth"])
    assert "about 7 s, 0 min left" in capsys.readouterr().out  # what it took the last time


def test_quick_runs_keep_nothing_and_pass_on_what_is_told(runs: list[tuple[str, str]], results: Path) -> None:
    assert command.main(["--quick", "growth", "wirings", "--threads", "1"]) == 0
    assert runs == [("growth", "quick --threads 1"), ("wirings", "quick --threads 1")]
    assert not results.exists()


def test_what_has_a_long_form_alone_is_run_by_name(runs: list[tuple[str, str]], results: Path) -> None:
    assert command.main(["two_layers_digits"]) == 0
    assert runs == [("two_layers_digits", "long")]


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["speed"], "there is no benchmark speed"),
        (["--long"], "name the scripts"),
        (["--long", "growth"], "no long form"),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(
    argv: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(argv)
    said = capsys.readouterr().err
    assert word in said and said.count("\n") == 1


def test_without_its_data_a_script_is_skipped(
    runs: list[tuple[str, str]], results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_environment", dict)
    assert command.main(["ppca_mnist", "growth"]) == 0
    assert [name for name, _ in runs] == ["growth"]
    assert "skipped, it needs MNIST" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "problem"), [("exit 3", "exit status 3"), ("sleep 60 & sleep 60", "stopped after 0 s"), ("exit 0", "")]
)
def test_a_script_is_run_and_stopped_if_it_hangs(
    line: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{line}\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(command, "AT_LEAST", 0.3)
    seconds, said = command.run(Script("growth", "", {"quick": 0.1}), "quick", [], dict(os.environ))
    assert said == problem and seconds < 30
