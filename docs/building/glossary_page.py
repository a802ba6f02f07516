"""The glossary: the words that a report explains to its readers, and those of the house with their files."""

import re
from pathlib import Path

from building import DOCS
from building.written import write_page
from elbowroom.report.page.terms import TERMS

PAGE = """\
# Glossary

One name, one meaning, on these pages, in reports and in the code. S samples, B data, C chains, T draws, D unconstrained
coordinates, N scalar latents, K particles or components.

:::{{glossary}}
:sorted:

{entries}
:::
"""


def write(page: Path) -> None:
    """The page, docs/glossary.md."""
    entries = "\n\n".join(f"{word}\n    {told}" for word, told in meanings().items())
    write_page(page, PAGE.format(entries=entries))


def meanings() -> dict[str, str]:
    """Word -> what it means, as Markdown."""
    found = dict(TERMS)
    for word, (meaning, defined) in words_of_the_house().items():
        told = f"{meaning[:1].upper()}{meaning[1:]}. Defined in {defined}."
        found[word] = f"{found[word]} {told}" if word in found else told
    return found


def words_of_the_house() -> dict[str, tuple[str, str]]:
    """Word -> (meaning, where it is defined), the table of docs/house.md."""
    table = (DOCS / "house.md").read_text(encoding="utf-8").split("## Glossary")[1]
    rows = re.findall(r"(?m)^\| ((?:[^|\\]|\\.)+) \| ((?:[^|\\]|\\.)+) \| ((?:[^|\\]|\\.)+) \|$", table)
    return {word: (meaning.replace("\\|", "|"), place) for word, meaning, place in rows[1:]}
