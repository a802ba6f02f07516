"""A block of code that nothing runs says so on the site: by `<!-- not run: why -->` above it, or as a terminal's."""

from typing import Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

from checks.pages import NOT_RUN

TERMINAL = ("sh", "console", "bash")


def setup(app: Any) -> None:
    """While a page is read."""
    app.add_transform(Marked)


class Marked(SphinxTransform):
    """Puts the reason below a block with a mark, and `not run` beside one for a terminal."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        """On one page."""
        for block in list(self.document.findall(nodes.literal_block)):
            reason = reason_of(block)
            if reason:
                block["classes"].append("not-run")
                told = nodes.paragraph("", "", nodes.Text(f"Not run: {reason}"), classes=["not-run-reason"])
                block.parent.insert(block.parent.index(block) + 1, told)
            elif block.get("language") in TERMINAL:
                block["classes"].append("terminal")


def reason_of(block: nodes.literal_block) -> str:
    """What the comment above a block says; empty if there is none."""
    place = block.parent.index(block)
    above = block.parent[place - 1] if place else None
    if not isinstance(above, nodes.comment | nodes.raw):
        return ""
    text = above.astext()
    found = NOT_RUN.search(text if text.startswith("<!--") else f"<!-- {text} -->")
    return found[1].replace("`", "") if found else ""
