"""The notebooks' figures as files, and a page of them: question, answer, figure, and what is to be seen in it."""

import base64
import html
import re
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>elbowroom: questions and figures</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }}
img {{ width: 100%; max-width: 30em; border: 1px solid #ccc; }}
figure {{ margin: 0 0 1em; }} figcaption {{ font-size: 85%; color: #444; }}
section {{ border-top: 1px solid #ccc; padding: 1em 0; }}
</style>
<h1>Questions, answers and figures</h1>
{sections}
</html>
"""


class Shown(NamedTuple):
    """A figure of a notebook: PNG, SVG (empty if it has none), and what is to be seen in it."""

    png: bytes
    svg: str
    alt: str


def figures(notebook: Any) -> list[Shown]:
    """The figures among a notebook's outputs, in their order."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [
        Shown(
            base64.b64decode(output.data["image/png"]),
            output.data.get("image/svg+xml", ""),
            output.metadata.get("alt", ""),
        )
        for output in outputs
        if "image/png" in output.get("data", {})
    ]


def save_figures(notebook: Any, stem: str, folder: Path) -> list[Path]:
    """Write `<stem>_<n>.png` and `.svg`, the sentence as the SVG's own description, and return the PNGs."""
    for old in folder.glob(f"{stem}_[0-9]*.*g"):
        old.unlink()
    written = []
    for number, shown in enumerate(figures(notebook), start=1):
        path = folder / f"{stem}_{number}.png"
        path.write_bytes(shown.png)
        if shown.svg:
            described = f'role="img"><desc>{html.escape(shown.alt)}</desc>'
            path.with_suffix(".svg").write_text(re.sub(r"(<svg\b[^>]*)>", rf"\1 {described}", shown.svg, count=1))
        written.append(path)
    return written


def write_index(folder: Path) -> Path:
    """Write `index.html` of every executed notebook in the folder."""
    sections = [_section(path) for path in sorted(folder.glob("[0-9]*.ipynb"))]
    index = folder / "index.html"
    index.write_text(_PAGE.format(sections="\n".join(sections)), encoding="utf-8")
    return index


def _section(path: Path) -> str:
    notebook = nbformat.read(path, 4)
    question = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    last = next(cell.source for cell in reversed(notebook.cells) if cell.cell_type == "markdown")
    rows = []
    for number, shown in enumerate(figures(notebook), start=1):
        source, alt = f"{path.stem}_{number}.png", html.escape(shown.alt)
        rows.append(f'<figure><a href="{source}"><img src="{source}" alt="{alt}"></a>')
        rows.append(f"<figcaption>{alt}</figcaption></figure>")
    return f"<section><h2>{_inline(question)}</h2>\n{_answer(last)}\n{chr(10).join(rows)}</section>"


def _answer(markdown: str) -> str:
    """A notebook's last words: paragraphs and lists of one level."""
    blocks = []
    for block in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", markdown).strip()):
        items = re.split(r"(?m)^- ", block)
        if len(items) > 1:
            blocks.append("<ul>" + "".join(f"<li>{_inline(item)}</li>" for item in items[1:]) + "</ul>")
        elif not block.startswith("#"):
            blocks.append(f"<p>{_inline(block)}</p>")
    return "\n".join(blocks)


def _inline(text: str) -> str:
    """Emphasis and code as HTML; the few formulas in plain letters."""
    plain = html.escape(" ".join(text.split()), quote=False)
    for symbol, letter in {r"\log": "log", r"\sigma": "σ", r"\beta": "β", r"\le": "≤", r"\hat k": "k̂"}.items():
        plain = plain.replace(symbol, letter)
    plain = re.sub(r"\$([^$]*)\$", r"<i>\1</i>", plain)
    plain = re.sub(r"`([^`]*)`", r"<code>\1</code>", plain)
    plain = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", plain)
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", plain)
