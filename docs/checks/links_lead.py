"""Links and anchors lead somewhere: to a file of the repository, a page that is generated, a heading."""

import os
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from checks.pages import GENERATED, ROOT, Page

LINK = re.compile(r"\]\((?!\w+:|<)([^)\s#]*)(?:#([^)\s]+))?\)")


def faults(pages: Sequence[Page]) -> list[str]:
    """Links that lead nowhere."""
    headings = {page.path: anchors(page) for page in pages}
    return [
        f"{page.path}: {fault}"
        for page in pages
        for path, anchor in LINK.findall(re.sub(r"`[^`\n]+`", "", page.prose))
        if (fault := fault_of(page.path, path, anchor, headings))
    ]


def fault_of(place: str, path: str, anchor: str, headings: dict[str, set[str]]) -> str:
    """What is wrong with a link of a page; empty if nothing is."""
    file = os.path.normpath(PurePosixPath(place).parent / path) if path else place
    if is_generated(file):
        return ""
    if file not in headings and not (ROOT / file).exists():
        return f"the link {path} leads nowhere"
    if anchor and file in headings and anchor not in headings[file]:
        return f"{file} has no heading #{anchor}; it has {', '.join(sorted(headings[file]))}"
    return ""


def is_generated(file: str) -> bool:
    """Whether the build writes it."""
    parts = PurePosixPath(file).parts
    return len(parts) > 1 and parts[0] == "docs" and parts[1] in GENERATED


def anchors(page: Page) -> set[str]:
    """The anchors of its headings, as GitHub and MyST make them, and those that it sets by `(name)=`."""
    slugs = [re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles(page)]
    return {*slugs, *re.findall(r"(?m)^\(([\w-]+)\)=$", page.prose)}


def titles(page: Page) -> list[str]:
    """The text of its headings."""
    return [re.sub(r"[`*]", "", title) for title in re.findall(r"(?m)^#+ (.+?)\s*$", page.prose)]
