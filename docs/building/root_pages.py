"""Files of the root that are pages of the site, too: the changelog, how to contribute, security."""

from pathlib import Path

from building.links import PAGES, moved
from building.written import write_page

SHOWN = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")


def write(folder: Path) -> None:
    """These pages, in docs/."""
    for name in SHOWN:
        text = (folder.parent / name).read_text(encoding="utf-8")
        write_page(folder.parent / PAGES[name], moved(text, name, PAGES[name]))
