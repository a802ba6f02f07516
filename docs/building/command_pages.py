"""The command line: a page for each command, from its parser."""

import re
import typing
from pathlib import Path
from typing import Any

from building.docstrings import inline
from building.written import write_folder
from elbowroom.__main__ import COMMANDS, EPILOG, EXIT_CODES, _parser

INDEX = """\
The command line
================

.. code-block:: text

   elbowroom COMMAND [--option value …]

.. list-table::
   :widths: 20 80

{rows}

``elbowroom COMMAND --help`` prints what stands here. ``elbowroom --version`` prints the version,
``--traceback`` with any command where an error comes from. {lists}

{codes}

.. toctree::
   :hidden:

{pages}
"""


def write(folder: Path) -> None:
    """All pages of the command line, in docs/reference/command_line/."""
    write_folder(folder, pages())


def pages() -> dict[str, str]:
    """Path in the folder -> text."""
    parsers = next(action.choices for action in _parser()._actions if action.dest == "command")
    index = INDEX.format(
        rows="\n".join(f"   * - :doc:`{name}`\n     - {inline(parsers[name].description)}" for name in COMMANDS),
        lists=inline(EPILOG.removeprefix(EXIT_CODES).strip().split("Errors are")[0].strip()),
        codes=codes(),
        pages="\n".join(f"   {name}" for name in COMMANDS),
    )
    return {"index.rst": index} | {f"{name}.rst": command_page(name, parsers[name]) for name in COMMANDS}


def codes() -> str:
    """The exit codes as a table."""
    rows = re.findall(r"(?m)^  (\d+) +(.*(?:\n   .*)*)", EXIT_CODES)
    table = "\n".join(f"   * - {code}\n     - {inline(' '.join(text.split()))}" for code, text in rows)
    return f".. list-table:: Exit codes\n   :widths: 10 90\n\n{table}"


def command_page(name: str, parser: Any) -> str:
    """A command: what it does, and its options in the groups of its help page."""
    title = f"elbowroom {name}"
    lines = [title, "=" * len(title), "", inline(parser.description), "", f".. program:: {title}", ""]
    for group in parser._action_groups:
        options = [action for action in group._group_actions if action.option_strings and not _is_help(action)]
        if not options:
            continue
        heading = group.title[:1].upper() + group.title[1:]
        lines += [heading, "-" * len(heading), ""]
        for action in options:
            lines += option(action)
    return "\n".join(lines)


def _is_help(action: Any) -> bool:
    return action.dest == "help" or type(action).__name__ == "_ActionConfigLoad"


def option(action: Any) -> list[str]:
    """An option: its name, what it is, what may be given, the default."""
    names = ", ".join(f"{name} <{kind}>" if (kind := value(action)) else name for name in action.option_strings[:1])
    told = inline(" ".join((action.help or "").split()))
    lines = [f".. option:: {names}", "", f"   {told}", ""]
    if action.default != "==SUPPRESS==" and action.dest != "config":
        lines += [f"   Default: ``{default(action.default)}``", ""]
    return lines


def value(action: Any) -> str:
    """What may be given: a type, or the words to choose from."""
    if action.dest == "print_config":
        return ""
    hint = getattr(action, "_typehint", None)
    choices = [word for part in (hint, *typing.get_args(hint)) for word in _words(part)]
    if choices:
        return "|".join(choices)
    return {bool: "true|false", None: "file"}.get(hint, getattr(hint, "__name__", str(hint)).replace("typing.", ""))


def _words(hint: Any) -> list[str]:
    return [str(word) for word in typing.get_args(hint)] if typing.get_origin(hint) is typing.Literal else []


def default(given: Any) -> str:
    """As it is typed."""
    if given is None or isinstance(given, bool):
        return {None: "null", True: "true", False: "false"}[given]
    return str(given).replace(" ", "") if isinstance(given, list | dict) else str(given)
