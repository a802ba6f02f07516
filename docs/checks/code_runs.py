"""A block of code runs, or says that it does not.

`{code-cell}` runs when the site is built. Blocks of `python` run in tests/docs/checks/test_code_of_pages.py, unless a
comment `<!-- not run: why -->` stands above them, which the site shows. Blocks of `sh` are for a terminal, as the site
says; they are held against the parser (`commands_exist.py`). Everything else names what it is: `text`, …
"""

import ast
from collections.abc import Sequence

from checks.pages import Block, Page

DATA = ("text", "json", "yaml", "toml", "ini", "csv", "html", "xml", "bibtex", "diff")
"""Languages of what cannot be run."""


def faults(pages: Sequence[Page]) -> list[str]:
    """Blocks of which nobody can tell whether they run, and Python that cannot."""
    return [f"{block}: {fault}" for page in pages for block in page.blocks if (fault := fault_of(block))]


def fault_of(block: Block) -> str:
    """What is wrong with a block; empty if nothing is."""
    if block.language == "python":
        return syntax_fault(block.code)
    if block.language in ("sh", *DATA) or block.language.startswith("{"):
        return ""
    return f"the block has the language {block.language!r}; take python, sh, or one of {', '.join(DATA)}"


def syntax_fault(code: str) -> str:
    """Whether it is Python at all."""
    try:
        ast.parse(code)
    except SyntaxError as error:
        return f"no Python in its line {error.lineno}: {error.msg}"
    return ""


def run_by_tests(page: Page) -> list[Block]:
    """The blocks of a page that a test has to run, in their order."""
    return [block for block in page.blocks if block.language == "python" and not block.not_run]
