"""How is the site made? `docs/conf.py` names this as an extension of Sphinx; `make docs` builds the site into docs/_build.

    public_names.py     every public name of the package, where it is defined, what it is
    docstrings.py       a docstring of this house as reStructuredText
    reference_pages.py  a page for each name, and one for each package
    command_pages.py    a page for each command, from the parser
    root_pages.py       files of the root that are pages
    links.py            links of the repository as links of the site
    formulas.py         formulas as MathML: nothing is loaded

Pages that are generated are written beside the others before Sphinx reads them, and are no part of the repository.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1]

WRITERS = {"reference_pages": "reference", "command_pages": "reference/command_line", "root_pages": ""}
"""A file of this folder with a `write(folder)` -> what it writes, a folder or a page of docs/."""

PARTS = ("docstrings", "formulas", "links")
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
