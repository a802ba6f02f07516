"""Every benchmark has the shared options, in each form that the list of them names."""

import sys
from argparse import Namespace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.options import parsed, parser
from benchmarks.registry import SCRIPTS, Script

FORMS = [(script, form) for script in SCRIPTS for form in script.seconds]


class _Told(Exception):
    """The options of a script whose work is not done."""


def options_of(name: str, argv: list[str], monkeypatch: pytest.MonkeyPatch) -> Namespace:
    module = import_module(f"benchmarks.{name}")

    def stop(*given: Any, **sizes: Any) -> None:
        raise _Told(parsed(*given, **sizes))

    monkeypatch.setattr(module, "parsed", stop)
    monkeypatch.setattr(sys, "argv", [name, *argv])
    with pytest.raises(_Told) as told:
        module.main()
    return told.value.args[0]


@pytest.mark.parametrize(("script", "form"), FORMS, ids=[f"{script.name}-{form}" for script, form in FORMS])
def test_every_script_takes_each_of_its_forms(script: Script, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [] if form == "default" else [f"--{form}"]
    options = options_of(script.name, [*told, "--threads=1"], monkeypatch)
    assert (options.form, options.own, options.device) == (form, "", torch.device("cpu"))
    assert options.threads == torch.get_num_threads() == 1


@pytest.mark.parametrize("script", [s for s in SCRIPTS if "default" not in s.seconds], ids=lambda script: script.name)
def test_a_script_without_a_default_form_takes_its_long_one(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    assert options_of(script.name, [], monkeypatch).form == "long"


def made() -> Any:
    asked = parser("A benchmark.", threads=1)
    asked.add_argument("--num-epochs", type=int, default=10)
    asked.add_argument("--run", type=Path)
    return asked


@pytest.mark.parametrize(
    ("argv", "epochs", "own"),
    [
        ([], 10, ""),
        (["--quick"], 1, ""),
        (["--long"], 100, ""),
        (["--long", "--num-epochs=7"], 7, "--num-epochs 7"),
        (["--quick", "--num-epochs=1", "--run=somewhere"], 1, ""),
    ],
)
def test_sizes_are_the_forms_unless_they_are_told(argv: list[str], epochs: int, own: str) -> None:
    options = parsed(made(), argv, quick={"num_epochs": 1}, long={"num_epochs": 100})
    assert (options.num_epochs, options.own) == (epochs, own)


def test_a_form_sets_no_option_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"quick form .*\['epochs'\]"):
        parsed(made(), ["--quick"], quick={"epochs": 1})


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["--device=cuda"], "sees no CUDA device"),
        (["--device=gpu"], "'gpu' is no device"),
        (["--device=meta"], "cpu or cuda"),
        (["--threads=0"], "above 0"),
        (["--quick", "--long"], "not allowed with"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    argv: list[str], word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        parsed(made(), argv)
    said = capsys.readouterr().err
    assert (stopped.value.code, said.count("\n")) == (2, 1) and word in said


def test_a_card_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert parsed(made(), ["--device=cuda:0"]).device == torch.device("cuda:0")
    with pytest.raises(SystemExit):
        parsed(made(), ["--device=cuda:1"])
    assert "no cuda:1" in capsys.readouterr().err


def test_what_is_made_for_the_processor_stays_there_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    asked = parser("A benchmark.", only_processor="its tables")
    options = parsed(asked, ["--device=cuda"])
    assert options.device == torch.device("cpu") and "its tables" in options.aside
    assert not parsed(asked, []).aside
