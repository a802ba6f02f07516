"""A command line on a page is one that the parser takes: the command, and every option of it."""

import re
import shlex
from collections.abc import Sequence
from functools import cache

from checks.pages import Page
from elbowroom.__main__ import COMMANDS, _parser
from elbowroom.commands.two_runs import two_runs

EVERYWHERE = frozenset({"--help", "--traceback", "--version", "--config", "--print_config"})


def faults(pages: Sequence[Page]) -> list[str]:
    """Commands and options that there are not."""
    return [f"{place}: {fault}" for page in pages for place, line in lines(page) if (fault := fault_of(line))]


def lines(page: Page) -> list[tuple[str, str]]:
    """(place, what is typed after `elbowroom`) in blocks for a terminal and in the code of sentences."""
    found = []
    for block in page.blocks:
        if block.language in ("sh", "{code-cell}"):
            joined = re.sub(r"\\\n\s*", " ", block.code)
            found += [
                (str(block), line) for line in re.findall(r"(?m)^[^#\n]*?(?<![\w./])elbowroom (?!import)(.+)$", joined)
            ]
    found += [
        (place, code.removeprefix("elbowroom ")) for place, code in page.inline() if code.startswith("elbowroom ")
    ]
    return found


def fault_of(line: str) -> str:
    """What is wrong with what is typed after `elbowroom`; empty if nothing is."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a sentence's "…" within quotes
        return ""
    words = [word for word in words if word not in ("--", "-m")]
    if not words or words[0].startswith("-") or not re.fullmatch(r"[a-z-]+", words[0]):
        return ""
    if words[0] not in COMMANDS:
        return f"elbowroom has no command {words[0]!r}"
    asked = {word.split("=")[0] for word in two_runs(words) if re.match(r"--[a-z]", word)}
    named = [word for word in sorted(asked) if not re.search(r"[A-Z…]", word)]  # `--training.NAME` stands for several
    unknown = [word for word in named if word.replace("-", "_").replace("__", "--", 1) not in options(words[0])]
    return f"elbowroom {words[0]} has no option {', '.join(unknown)}" if unknown else ""


@cache
def options(command: str) -> frozenset[str]:
    """All options of a command."""
    parser = next(action.choices for action in _parser()._actions if action.dest == "command")[command]
    return EVERYWHERE | {name for action in parser._actions for name in action.option_strings}
