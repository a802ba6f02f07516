"""Pictures are told in words. Of those that an executed cell draws the build asks it (`building/alt_texts.py`)."""

import re
from collections.abc import Sequence

from checks.pages import Page

FEWEST_WORDS = 3
"""A word or two do not say what is to be seen."""


def faults(pages: Sequence[Page]) -> list[str]:
    """Pictures without an alt text that says something."""
    return [
        f"{page.path}: the picture {path} needs an alt text of {FEWEST_WORDS} words or more, not {alt!r}"
        for page in pages
        for alt, path in re.findall(r"!\[([^\]]*)\]\(([^)\s]+)", page.prose)
        if too_short(alt)
    ]


def too_short(alt: str) -> bool:
    """Whether it says next to nothing."""
    return len(alt.split()) < FEWEST_WORDS
