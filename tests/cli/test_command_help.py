"""--help, --version, and what is refused before any work begins."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

import elbowroom
from elbowroom.__main__ import COMMANDS, EXIT_CODES
from elbowroom.commands.options import Data, Networks, Programs, Training
from elbowroom.inference.training import OBJECTIVES
from toys.commands import Result, Run

HEAVY = ("torch", "pyro", "numpy", "scipy", "matplotlib", "arviz", "xarray", "pandas")


def options_of(kind: type, prefix: str = "--") -> Iterator[tuple[str, str]]:
    """(`--training.epochs`, its explanation) and so on: the fields of an options class."""
    hints, told = get_type_hints(kind), dict(explanations(kind))
    for field in fields(kind):
        if is_dataclass(hints[field.name]):
            yield from options_of(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, told[field.name]


def explanations(kind: type) -> list[tuple[str, str]]:
    """Name and text of each entry under `Attributes:`, in the order of the fields."""
    bases = [base.__doc__ or "" for base in reversed(kind.__mro__) if is_dataclass(base)]
    found = [entry for told in bases for entry in re.findall(r"(?ms)^        (\w+): (\S.*?)(?=^ {,8}\S|\s*\Z)", told)]
    return [(name, " ".join(text.split())) for name, text in found]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_explains_every_option_and_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # no line is broken
    shown = run(command, "--help")
    assert shown.code == 0 and shown.err == ""
    words, options = set(shown.out.replace(",", " ").split()), dict(options_of(COMMANDS[command]))
    assert [option for option, told in options.items() if option not in words or told not in shown.out] == []
    assert {"--config", "--print_config"} <= words
    names = [name for name in ("seed", "device", "json") if f"--{name}" in options]
    shared = [shown.out.rindex(f"\n  --{name} ") for name in names]
    own = [shown.out.rindex(f"\n  {option} ") for option in options if "." not in option]
    assert sorted(own)[-len(shared) :] == shared, "what every command can be told comes last"
    assert EXIT_CODES in shown.out


@pytest.mark.parametrize("kind", [*COMMANDS.values(), Data, Networks, Programs, Training])
def test_every_option_is_explained(kind: type) -> None:
    """The help text of an option is its line under `Attributes:`."""
    assert [name for name, _ in explanations(kind)] == [field.name for field in fields(kind)]


def test_the_help_of_the_loss_names_every_objective() -> None:
    told = re.split(r", | or ", dict(explanations(Training))["loss"].split(";")[1].split("(")[0].strip())
    assert told == list(OBJECTIVES)


def test_the_first_help_names_every_command(run: Run) -> None:
    shown = run("--help")
    assert shown.code == 0 and EXIT_CODES in shown.out
    assert all(f"\n    {command} " in shown.out for command in COMMANDS)


def test_version(run: Run) -> None:
    assert run("--version") == Result(0, f"elbowroom {elbowroom.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """What makes it quick; benchmarks/command_help.py has the seconds."""
    ended = heavy_after(arguments)
    assert (ended.returncode, ended.stderr) == (0, "[]\n") and "--help" in ended.stdout


def test_parsing_imports_nothing_heavy() -> None:
    """A whole command line, nested options included, is parsed before torch is needed."""
    ended = heavy_after(["train", "--training.epochs=3", "--programs.hidden=[8]", "--json", "--print_config"])
    assert (ended.returncode, ended.stderr) == (0, "[]\n")
    assert "epochs: 3" in ended.stdout


def heavy_after(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command line in a process of its own, which says in the end what it has imported of `HEAVY`."""
    script = (
        "import sys\n"
        "from elbowroom.__main__ import main\n"
        "try:\n"
        f"    main({arguments})\n"
        "finally:\n"
        f"    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)\n"
    )
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "demo, train, evidence, audit, explore, versus, compare"),
        (["trian"], "did you mean train?"),
        (["train", "--epochs", "3"], "did you mean --training.epochs?"),
        (["train", "--training.epochs", "many"], "many"),
        (["train", "--data.binarize", "maybe"], "maybe"),
        (["train", "--programs.hidden", "wide"], "wide"),
        (["compare", "--indices", "3,x"], "3,x"),
        (["evidence", "--which", "worst"], "worst"),
        (["train", "--json", "perhaps"], "perhaps"),
        (["train", "--config", "absent.yaml"], "absent.yaml"),
        (["train", "--device", "tpu"], "tpu"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_unknown_options_and_values_exit_with_2(run: Run, arguments: list[str], told: str) -> None:
    ended = run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert re.fullmatch("elbowroom.*: .*\n", ended.err) and told in ended.err


def test_flags_need_no_value(run: Run) -> None:
    for given, meant in (("--json", "true"), ("--json=true", "true"), ("--json=false", "false")):
        assert f"\njson: {meant}\n" in run("train", given, "--resume", "--print_config").out
    assert "\nresume: true\n" in run("train", "--resume", "--seed", "3", "--print_config").out
