"""Links between files of the repository, as links between pages of the site.

A page of docs/ is read on the site and in the repository, and its links are those of the repository: to other pages,
to files outside of docs/ that the site has as pages, and to files that it does not have, which it hands out.
"""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from building import DOCS

PAGES = {
    "README.md": "docs/index.md",
    "CHANGELOG.md": "docs/changelog.md",
    "CONTRIBUTING.md": "docs/contributing.md",
    "SECURITY.md": "docs/security.md",
    "benchmarks/RESULTS.md": "docs/benchmarks.md",
}
"""File of the repository -> the page that shows it."""

LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")


def setup(app: Any) -> None:
    """Before Sphinx parses a page."""
    app.connect("source-read", _move)


def _move(app: Any, docname: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md":
        source[0] = moved(source[0], path.relative_to(DOCS.parent).as_posix())


def moved(text: str, place: str, to: str | None = None) -> str:
    """A page with its links as they are on the site.

    Args:
        text: of the page.
        place: of the file in the repository, from which its links lead.
        to: where it is shown; by default there.
    """
    folder, shown = PurePosixPath(place).parent, PurePosixPath(to or place).parent

    def link(found: re.Match[str]) -> str:
        file = os.path.normpath(folder / found[1])
        notebook = re.fullmatch(r"notebooks/(\d\d_\w+)\.py", file)
        page = f"docs/gallery/{notebook[1]}.md" if notebook else PAGES.get(file, file)
        return os.path.relpath(page, shown)

    return LINK.sub(link, text)
