"""`llms.txt` (llmstxt.org): the site for readers that are programs: what it is, and each page in a line; all of it in
`llms-full.txt`.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes

HEAD = """\
# elbowroom

> {summary}

Numbers are in nats per datum, natural sign, each with its own error; what cannot be trusted is flagged with a reason.
Pages in full, one after the other: [llms-full.txt](llms-full.txt).
"""

SECTIONS = {
    "start": "Start", "concepts": "Concepts", "how_to": "How to", "": "Pages", "gallery": "Gallery",
    "reference/command_line": "Command line", "reference": "Reference",
}  # fmt: skip
"""Folder of docs/ -> heading, in the order of the file; a page belongs to the longest that it begins with."""


def setup(app: Any) -> None:
    """When all pages are written."""
    app.add_config_value("llms_summary", "", "")
    app.connect("build-finished", _write)


def _write(app: Any, exception: Exception | None) -> None:
    if exception is None and app.builder.name in ("html", "dirhtml"):
        pages = {name: _words(app, name) for name in sorted(app.env.found_docs)}
        out = Path(app.outdir)
        out.joinpath("llms.txt").write_text(index(app.config.llms_summary, pages), encoding="utf-8")
        full = "\n\n".join(f"# {title}\n\n{text}" for title, text in pages.values())
        out.joinpath("llms-full.txt").write_text(full + "\n", encoding="utf-8")


def index(summary: str, pages: dict[str, tuple[str, str]]) -> str:
    """The text of llms.txt, of name of a page -> (title, text)."""
    lines = [HEAD.format(summary=summary)]
    for folder, heading in SECTIONS.items():
        rows = [_row(name, *told) for name, told in pages.items() if name != "index" and folder_of(name) == folder]
        lines += [f"## {heading}\n", *rows, ""] if rows else []
    return "\n".join(lines)


def folder_of(name: str) -> str:
    """The section of a page."""
    return max((folder for folder in SECTIONS if name.startswith(f"{folder}/") or not folder), key=len)


def _row(name: str, title: str, text: str) -> str:
    told = next((block for block in text.split("\n\n") if len(block.split()) > 3), "")
    first = re.split(r"(?<=[.?!]) ", " ".join(told.split()), maxsplit=1)[0]
    return f"- [{title}]({name}.html): {first}".rstrip(": ")


def _words(app: Any, name: str) -> tuple[str, str]:
    """(title, text without it) of a page, code and tables as plain lines."""
    document = app.env.get_doctree(name)
    title = app.env.titles[name].astext() if name in app.env.titles else name
    blocks = [
        node.astext()
        for node in document.findall(nodes.Element)
        if isinstance(node, nodes.TextElement | nodes.row | addnodes.desc_signature)
        and not isinstance(node, nodes.Inline | addnodes.desc_sig_element)
        and not _inside(node, nodes.row | addnodes.desc_signature)
    ]
    return title, "\n\n".join(blocks[1:] if blocks[:1] == [title] else blocks)


def _inside(node: nodes.Element, kinds: Any) -> bool:
    parent = node.parent
    while parent is not None:
        if isinstance(parent, kinds):
            return True
        parent = parent.parent
    return False
