"""Bad inputs of every public call and command: each is named with a remedy, and none is accepted or runs for ever."""

import inspect
import shutil
import time
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from fuzz.bad_values import some
from fuzz.command_line import answer, typed_of
from fuzz.good_calls import good_calls
from fuzz.trials import SECONDS, Outcome, judge, run, table, trials_of

from elbowroom import __main__, datasets, densities, guides, inference, models, reference, report
from elbowroom.__main__ import COMMANDS, main
from toys.commands import SMALL

SEED = 7

LEFT_OUT = {
    "base classes": "DecoderModel LatentModel ContextModel AmortizedGuide Density",
    "made by from_encoder": "EncoderGuide",
    "without arguments": "NoLatents",
    "as drawn_figure, for a kind": "redrawn_figure drawn_figure bags_figure",
}
"""Public calls that are not tried, by reason."""


def check(outcomes: list[tuple[Any, Outcome]]) -> None:
    """The bars: 98 % named with a remedy, nothing accepted, nothing that does not end, no other error."""
    counts = [outcome.kind for _, outcome in outcomes]
    told = table(outcomes)
    assert counts.count("named") >= 0.98 * len(counts), told
    assert not {"accepted", "hang", "crash"} & set(counts), told


def test_every_public_call_is_tried() -> None:
    tried = {call.name for call in good_calls()}
    left_out = {name for names in LEFT_OUT.values() for name in names.split()}
    for package in (inference, models, guides, datasets, densities, reference, report):
        for name in package.__all__:
            thing = getattr(package, name)
            wanted = inspect.isfunction(thing) or (
                package in (models, guides, densities) and inspect.isclass(thing) and not is_result(thing)
            )
            assert not wanted or name in tried | left_out, f"{package.__name__}.{name} has no good call"


def is_result(kind: type) -> bool:
    """Whether its instances are what a function returns."""
    return hasattr(kind, "__dataclass_fields__") or issubclass(kind, tuple | Exception)


def test_some_bad_inputs() -> None:
    trials = [trial for call in good_calls() for trial in trials_of(call)]
    assert len(trials) > 10_000
    check([(trial, run(trial)) for trial in some(trials, 400, SEED)])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_bad_inputs() -> None:
    check([(trial, run(trial)) for call in good_calls() for trial in trials_of(call)])


# The command line ----------------------------------------------------------------------------------------------------


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a trained run, and one parser for all commands."""
    monkeypatch.setattr(__main__, "_parser", cache(__main__._parser))
    monkeypatch.chdir(tmp_path)
    torch.set_default_dtype(torch.float32)
    with patch("sys.stdout", StringIO()), patch("sys.stderr", StringIO()):
        assert main(["train", "--output=run", "--data.name=digits", "--data.limit=60", *SMALL]) == 0
    return tmp_path


def answers(lines: list[Any], folder: Path) -> list[tuple[Any, Outcome]]:
    found = []
    for line in lines:
        found.append((line, answer(line, SECONDS)))
        for place in folder.iterdir():
            if place.name != "run":
                shutil.rmtree(place) if place.is_dir() else place.unlink()
    return found


def test_some_bad_options(commands: Path) -> None:
    lines = [line for command in COMMANDS for line in typed_of(command)]
    assert len(lines) > 1000
    check(answers(some(lines, 40, SEED), commands))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_all_bad_options(commands: Path) -> None:
    check(answers([line for command in COMMANDS for line in typed_of(command)], commands))


# The judge -----------------------------------------------------------------------------------------------------------


def raising(error: Exception) -> Any:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (raising(ValueError("seed must be an integer, got 'x'")), "named"),
        (raising(ValueError("seed is wrong")), "no remedy"),
        (raising(ValueError("must be an integer, got 'x'")), "unnamed"),
        (raising(ValueError("seeds must be integers")), "unnamed"),
        (raising(AttributeError("seed must be an integer")), "crash"),
        (lambda: None, "accepted"),
        (lambda: time.sleep(5), "hang"),
    ],
)
def test_the_judge(call: Any, kind: str) -> None:
    assert judge(call, "seed", 0.05).kind == kind
