"""How is the site made? `docs/conf.py` names this as an extension of Sphinx, and `make docs` runs it.

    public_names.py     every public name of the package, where it is defined, what it is
    docstrings.py       a docstring of this house as reStructuredText
    reference_pages.py  a page for each name, and one for each package
    command_pages.py    a page for each command, from the parser
    root_pages.py       files of the root that are pages
    gallery_pages.py    a page for each notebook as it ran, and one with a figure of each
    executed.py         the notebooks, executed and kept
    code_hash.py        a name for the code by which they are kept
    explorer.py         the page of `elbowroom explore` on the digits
    glossary_page.py    the words of reports and of the house
    benchmarks_page.py  the figures of the benchmarks, by question
    links.py            links of the repository as links of the site
    names_linked.py     names in the code of a page as links, words in italics too
    formulas.py         formulas as MathML: nothing is loaded
    kernels.py          what executes pages
    not_run.py          code that nothing runs is told so
    page_checks.py      docs/checks/ as warnings
    alt_texts.py        every picture is told in words, or the build fails
    sidebar.py          which pages the sidebar shows
    offline.py          no page asks for anything over the network
    llms.py             the site in a file for programs that read
    written.py          a page is written only if it is another than before

Pages that are generated are written beside the others before Sphinx reads them, and are no part of the repository.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]

WRITERS = {
    "reference_pages": "reference",
    "command_pages": "reference/command_line",
    "root_pages": "",
    "glossary_page": "glossary.md",
    "benchmarks_page": "benchmarks.md",
    "gallery_pages": "gallery",
}
"""A file of this folder with a `write(place)` -> where it writes, a folder or a page of docs/."""

PARTS = (
    "page_checks",
    "docstrings",
    "formulas",
    "kernels",
    "links",
    "names_linked",
    "not_run",
    "alt_texts",
    "sidebar",
    "llms",
    "offline",
)
"""Files of this folder with a `setup(app)`."""


def setup(app: Any) -> dict[str, Any]:
    """What Sphinx asks of an extension."""
    app.connect("config-inited", lambda *_: write_pages())
    for part in PARTS:
        import_module(f"building.{part}").setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(docs: Path = DOCS) -> None:
    """All pages that are generated."""
    for part, place in WRITERS.items():
        import_module(f"building.{part}").write(docs / place)
