"""The command line with one wrong value: every option of every command, by the type that its options say."""

import io
import types
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from fuzz.legal import is_legal
from fuzz.trials import REMEDY, Outcome, TooLong, limit

from elbowroom.__main__ import COMMANDS, main
from elbowroom.commands.arguments.table import is_group, options_of

INTEGERS = ("0", "-1", "1.5", "nan", "inf", "10^18", "1e18", "many", "", "[1]", "1e400", "0x10", "True")
FLOATS = ("0", "-1", "nan", "inf", "-inf", "fast", "", "[1]", "1e300", "1e400", "{a: 1}")
TRUTHS = ("maybe", "3", "[]")
CHOICES = ("no such name", "", "3", "[]")
LISTS = ("wide", "0", "-1", "1.5", "1e18", "[nan]", "{a: 1}", "[[1]]")
MAPPINGS = ("3", "[1]", "a b", "{no_such_option: 1}")
TEXTS = ("no such name",)

BASES = {
    "demo": (),
    "train": ("--data.name=digits", "--data.limit=40", "--training.epochs=1", "--output=out"),
    "evidence": ("--run=run", "--limit=2", "--num_samples=20"),
    "audit": ("--run=run", "--limit=2", "--budget=2"),
    "versus": ("--a.run=run", "--b.run=run", "--limit=2", "--budget=2"),
    "compare": ("--run=run", "--limit=1", "--mcmc=false", "--num_samples=20"),
    "explore": ("--run=run", "--limit=2", "--budget=2"),
    "generate": ("--run=run", "--num_samples=2"),
    "shard": ("--run=run", "--limit=2", "--options={num_samples: 20, search: false}", "--output=out"),
    "merge": ("--shards=shards",),
    "rivals": ("--rows=pixels", "--limit=40"),
    "families": (),
}
"""Command -> words that make it quick where nothing is wrong; `run` is a trained run."""

FREE = (
    "output",
    "shards",
    "file",
    "array",
    "status",
    "evidence",
    "run",
    "name",
    "dir",
    "plate",
    "datum",
    "fail_if",
    "model",
    "guide",
    "decoder",
    "encoder",
    "vae",
    "prior",
)
"""Last words of options that take any text: files, programs and names that are looked up."""


class Typed(NamedTuple):
    """A command line with one wrong value."""

    command: str
    option: str
    text: str

    @property
    def words(self) -> list[str]:
        """As a shell hands them over."""
        base = [word for word in BASES[self.command] if not word.startswith(f"--{self.option}=")]
        return [self.command, *base, f"--{self.option}={self.text}"]

    def __str__(self) -> str:
        return " ".join(self.words)


def typed_of(command: str) -> Iterator[Typed]:
    """Every option of a command with each value that is wrong for it."""
    for option, hint in options_of(COMMANDS[command]).items():
        if is_group(hint):
            continue
        for text in _texts(hint, option.rpartition(".")[2]):
            if not is_legal(f"elbowroom {command}", option.rpartition(".")[2], text):
                yield Typed(command, option, text)


def _texts(hint: Any, name: str) -> tuple[str, ...]:
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if type(None) in parts:  # nothing is null
        some = Union[tuple(part for part in parts if part is not type(None))]  # noqa: UP007 (made at run time)
        return tuple(text for text in _texts(some, name) if text)
    kinds = {get_origin(part) or part for part in parts} - {type(None)}
    if kinds == {int}:
        return INTEGERS
    if kinds == {float}:
        return FLOATS
    if kinds == {bool}:
        return TRUTHS
    if kinds == {Literal}:
        return CHOICES
    if kinds == {list}:
        return LISTS if int in get_args(parts[0]) else ("no such name",)
    if kinds == {dict}:
        return MAPPINGS
    if kinds == {float, str}:
        return FLOATS
    return () if name in FREE else TEXTS


def answer(typed: Typed, seconds: float) -> Outcome:
    """How the command ends: refused in words that name the option, or not."""
    out, error = io.StringIO(), io.StringIO()
    try:
        with limit(seconds), redirect_stdout(out), redirect_stderr(error):
            code = main(typed.words)
    except TooLong:
        return Outcome("hang", f"not within {seconds:g} s")
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException as ended:
        return Outcome("crash", f"{type(ended).__name__}: {ended}")
    return _judged(typed, code, " ".join(error.getvalue().split()))


def _judged(typed: Typed, code: int, said: str) -> Outcome:
    if code == 1 or "Traceback" in said:
        return Outcome("crash", said[-300:])
    if code == 0:
        return Outcome("accepted", "")
    if typed.option.rpartition(".")[2] not in said:
        return Outcome("unnamed", said)
    return Outcome("named" if REMEDY.search(said) else "no remedy", said)
