"""What the library says of its arguments, said of the command's options, in one line.

run_dir=a is not empty ...              ->  --output a is not empty ...
num_epochs must be at least 1, got 0    ->  --training.epochs must be at least 1, got 0
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from elbowroom.commands.arguments.table import is_group, options_of

ARGUMENTS: Mapping[str, str] = {
    "run_dir": "output",
    "num_epochs": "training.epochs",
    "data_dir": "data.dir",
    "memory_bytes": "memory_mib",
}
"""Argument of the library -> the option that it comes from, where they do not share their last word."""

_OF_PYTHON = {"None": "null", "True": "true", "False": "false"}
_LONGEST = 600
_TRACE = re.compile(r"\s*(?:Trace Shapes:|Param Sites:|Sample Sites:|Traceback \(most recent call last\)).*", re.DOTALL)
_INSTALLED = re.compile(r"\S*/(?:site|dist)-packages/")
_VALUE = r"""('[^']*'|"[^"]*"|\[[^\]]*\]|\([^)]*\)|[^\s,;:)]+[^\s,;:.)]|[^\s,;:.)])"""


def in_words(error: BaseException, options: type) -> str:
    """The error in one line, of options in the place of arguments; without traces, or paths of installed packages."""
    text = str(error) or type(error).__name__
    shown = _TRACE.sub("", text)
    line = " ".join(shown.split())
    cut = shown != text or len(line) > _LONGEST
    if len(line) > _LONGEST:
        line = _first_sentences(line)
    line = _INSTALLED.sub("", line)
    line = _dashed(line, options) if _of_a_command(error) else translated(line, options)
    return f"{line} (--traceback shows all of it)" if cut else line


def translated(line: str, options: type) -> str:
    """The line with `--output a` for `run_dir=a`, and `--training.epochs` for `num_epochs` that must be something."""
    names = option_of_argument(options)
    for argument in sorted(names, key=len, reverse=True):
        word, option = rf"(?<![\w.\-'\"]){argument}", f"--{names[argument]}"
        if options_of(options)[names[argument]] is bool:
            line = re.sub(rf"{word}=True\b", option, line)
        line = re.sub(rf"{word}={_VALUE}", partial(_given, option), line)
        line = re.sub(rf"{word}(?= must\b)|^{argument}(?=: )", option, line)
        if "_" in argument:  # no word of English
            line = re.sub(rf"{word}\b(?![\w.(=])", option, line)
    return line


def option_of_argument(options: type) -> dict[str, str]:
    """Argument -> option of a command: those of `ARGUMENTS`, and each by its last word, the least nested first."""
    table = {name: hint for name, hint in options_of(options).items() if not is_group(hint)}
    by_leaf = {name.rpartition(".")[2]: name for name in sorted(table, key=lambda n: -n.count("."))}
    return by_leaf | {argument: option for argument, option in ARGUMENTS.items() if option in table}


def _dashed(line: str, options: type) -> str:
    """What commands say names options already: a first word that is one gets its dashes."""
    first = re.match(r"([\w.]+)(?=:| must\b)", line)
    return f"--{line}" if first and first[1] in options_of(options) else line


def _of_a_command(error: BaseException) -> bool:
    trace: Any = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and Path(__file__).parents[1] in Path(trace.tb_frame.f_code.co_filename).parents


def _first_sentences(line: str) -> str:
    end = max(line.rfind(". ", 0, _LONGEST), line.rfind("; ", 0, _LONGEST))
    return f"{line[: end if end > 0 else _LONGEST].rstrip()} …"


def _given(option: str, found: re.Match[str]) -> str:
    """`--option value`, with a value of Python as it is typed in a shell."""
    value = found[1]
    plain = value[1:-1] if value[:1] in "'\"" else value
    return f"{option} {_OF_PYTHON.get(plain, plain)}"
