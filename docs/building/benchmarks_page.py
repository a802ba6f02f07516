"""The benchmarks: figures of benchmarks/RESULTS.md under the question that each script answers."""

import re
import sys
from pathlib import Path
from typing import NamedTuple

from building import DOCS
from building.written import write_page

sys.path.append(str(DOCS.parent))  # a test that is run alone has not imported benchmarks/ yet

from benchmarks.registry import SCRIPTS

PAGE = """\
# Benchmarks

What `make bench` measured last: {count} scripts, each with one question. Ratios of one run on one machine matter; the
line above a table says which machine, and which form of the script. Longer tables are folded. The scripts are in the
folder `benchmarks/` of the repository; `python -m benchmarks --list` says what there is.

{questions}

{sections}
"""

FOLDED = 15
"""Tables of more rows are folded."""


class Result(NamedTuple):
    """A part of RESULTS.md: the mark of who writes it, its title, the machine, the table."""

    mark: str
    title: str
    machine: str
    table: str

    @property
    def script(self) -> str:
        """The name of the script that writes it: the longest that its mark begins with."""
        return max((s.name for s in SCRIPTS if self.mark.startswith(s.name)), key=len, default="")


def write(page: Path) -> None:
    """The page, docs/benchmarks.md."""
    text = (DOCS.parent / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    write_page(page, page_of(results(text)))


def results(text: str) -> list[Result]:
    """The parts of RESULTS.md, in their order."""
    parts = re.findall(r"(?s)<!-- ([\w-]+) -->\n## (.*?)\n\n(.*?)\n\n(\|.*?)\n<!-- /", text)
    return [Result(*part) for part in parts]


def page_of(found: list[Result]) -> str:
    """The page: questions with links, then the figures of each script, those of the long form first."""
    questions, sections = [], []
    for script in SCRIPTS:
        own = [result for result in found if result.script == script.name]
        question = script.shows[:1].upper() + script.shows[1:]
        if own:
            questions.append(f"- [{question}](#{script.name})")
            head = f"({script.name})=\n## {question}\n\n`{script.name}`"
            sections.append("\n\n".join([head, *map(section, own)]))
    return PAGE.format(count=len(sections), questions="\n".join(questions), sections="\n\n".join(sections))


def section(result: Result) -> str:
    """One table, folded if it is long."""
    if result.table.count("\n") - 1 <= FOLDED:
        return f"**{result.title}**\n\n{result.machine}\n\n{result.table}"
    head = f"<details><summary><strong>{result.title}</strong></summary>"
    return f"{head}\n\n{result.machine}\n\n{result.table}\n\n</details>"
