"""Names between backticks are links to what the reference says of them, and words in italics to the glossary.

A page needs no marks for it, and reads well where there is no site: `bracket`, `Target.propose`, `importance(target)`,
`elbowroom audit`, *room*.
"""

import re
from functools import cache
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform

from building.glossary_page import meanings
from building.public_names import public_names
from building.reference_pages import own_members, types_named
from elbowroom.__main__ import COMMANDS

QUIET = (nodes.title, nodes.term, nodes.reference, addnodes.pending_xref, addnodes.desc_signature)
"""In these nothing becomes a link."""


def setup(app: Any) -> None:
    """After all pages were read."""
    app.add_post_transform(Linked)


@cache
def targets() -> dict[str, str]:
    """Name as a page may say it -> the name that the reference has. What two packages have is said with its package."""
    found: dict[str, str | None] = {}
    for name in public_names():
        found[name.name] = None if name.name in found else name.path
        found[name.path] = found[name.path.removeprefix("elbowroom.")] = name.path
        for member in own_members(name.value) if name.kind in ("class", "exception") else ():
            found[f"{name.name}.{member}"] = f"{name.path}.{member}"
    for named in types_named():
        found[named.__name__] = None if named.__name__ in found else f"{named.__module__}.{named.__qualname__}"
    return {said: path for said, path in found.items() if path}


@cache
def pages() -> dict[str, str]:
    """The name that the reference has -> its page."""
    return {name.path: f"reference/{name.package.rpartition('.')[2]}/{name.page}" for name in public_names()}


def target_of(code: str) -> tuple[str, str, str] | None:
    """(domain, role, target) of what stands between backticks; None if it is none of ours."""
    if command := re.fullmatch(r"elbowroom (\w+)", code):
        return ("std", "doc", f"/reference/command_line/{command[1]}") if command[1] in COMMANDS else None
    name = re.sub(r"\(.*\)$", "", code, flags=re.DOTALL)
    if name in targets():
        return "py", "obj", targets()[name]
    owner = name.rpartition(".")[0]  # a field of a result stands on the page of its class
    return ("py", "obj", targets()[owner]) if owner[:1].isupper() and owner in targets() else None


class Linked(SphinxPostTransform):
    """Puts a reference around each, which Sphinx then resolves."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        """On one page."""
        place = self.env.docname
        for node in list(self.document.findall(nodes.literal)):
            found = target_of(node.astext())
            if found and place != pages().get(found[2]) and not _is_quiet(node):
                self._link(node, *found)
        for node in list(self.document.findall(nodes.emphasis)):
            if node.astext() in meanings() and place != "glossary" and not _is_quiet(node):
                self._link(node, "std", "term", node.astext())

    def _link(self, node: nodes.Element, domain: str, role: str, target: str) -> None:
        link = addnodes.pending_xref(
            "",
            refdomain=domain,
            reftype=role,
            reftarget=target,
            refdoc=self.env.docname,
            refwarn=True,
            refexplicit=True,
        )
        node.replace_self(link)
        link += node


def _is_quiet(node: nodes.Node | None) -> bool:
    while node is not None:
        if isinstance(node, QUIET):
            return True
        node = node.parent
    return False
