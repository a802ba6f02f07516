"""The pages that are written by hand: their blocks of code, and the code in their sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

GENERATED = (
    "_build",
    "gallery",
    "reference",
    "benchmarks.md",
    "changelog.md",
    "contributing.md",
    "glossary.md",
    "security.md",
)
"""What is in docs/ and written by `docs/building/`."""

AT_ROOT = ("README.md", "CONTRIBUTING.md", "SECURITY.md")

FENCE = re.compile(r"(?m)^([ ]*)(`{3,}|:{3,})[ ]*(\{[\w-]+\}|[\w+-]*)[^\n]*\n(.*?)^\1\2[ ]*$", re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: (\S.*?) -->\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: its path.
        line: at which it begins.
        language: `python`, `sh`, …; `{code-cell}` of what the build runs; empty if none is said.
        code: its lines.
        not_run: the reason why it is not run, from a comment `<!-- not run: … -->` above it.
    """

    page: str
    line: int
    language: str
    code: str
    not_run: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A Markdown file of the repository."""

    path: str
    text: str

    @cached_property
    def blocks(self) -> list[Block]:
        """Its fenced blocks, in their order."""
        found = []
        for match in FENCE.finditer(self.text):
            mark = NOT_RUN.search(self.text[: match.start()])
            line = self.text.count("\n", 0, match.start()) + 1
            found.append(Block(self.path, line, match[3], match[4], mark[1] if mark else ""))
        return found

    @cached_property
    def prose(self) -> str:
        """Its text, with lines of blocks left empty: places stay."""
        return FENCE.sub(lambda found: "\n" * found[0].count("\n"), self.text)

    def inline(self) -> Iterator[tuple[str, str]]:
        """(place, code) of what stands between backticks."""
        for found in re.finditer(r"(?<!`)`([^`]+)`(?!`)", self.prose):
            line = self.prose.count("\n", 0, found.start()) + 1
            yield f"{self.path}:{line}", " ".join(found[1].replace("\\|", "|").split())


def pages(root: Path = ROOT) -> list[Page]:
    """All of them."""
    written = [
        path
        for path in sorted((root / "docs").rglob("*.md"))
        if path.relative_to(root / "docs").parts[0] not in GENERATED
    ]
    paths = [*(root / name for name in AT_ROOT), *written]
    return [Page(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
