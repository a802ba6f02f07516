"""The gallery: a page for each notebook as it ran, and one with a figure of each."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from building import explorer
from building.executed import NOTEBOOKS, executed
from building.links import moved
from building.written import write_folder

INDEX = """\
# Gallery

Questions, each with a measured answer. All code of a page was run when the site was built, in its order.

{explorer}{{.cards}}
{cards}

```{{toctree}}
:hidden:

{names}
```
"""


def write(folder: Path) -> None:
    """All pages of the gallery, in docs/gallery/."""
    write_folder(folder, pages())


def pages() -> dict[str, str | bytes]:
    """Path in the folder -> text, or the bytes of a figure."""
    found: dict[str, str | bytes] = {}
    cards, names = [], []
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(explorer.page)  # while the notebooks run
        ran, walk = executed(), waiting.result()
    for name, place in ran.items():
        notebook = read(name, place)
        found[f"{name}.md"] = page(name, notebook)
        figures = sorted(place.glob(f"{name}_*.svg"))
        found |= {figure.name: figure.read_bytes() for figure in figures}
        cards.append(card(name, notebook))
        names.append(name)
    if walk:
        found["explorer.md"] = walk
        names.append("explorer")
    index = INDEX.format(explorer=explorer.POINTER if walk else "", cards="\n".join(cards), names="\n".join(names))
    return {"index.md": index} | found


def read(name: str, place: Path) -> Any:
    """A notebook as it ran; without outputs, where it was not to be run (`QUICK`)."""
    kept = place / f"{name}.ipynb"
    return nbformat.read(kept, 4) if kept.exists() else jupytext.read(NOTEBOOKS / f"{name}.py")


def question(notebook: Any) -> str:
    """What a notebook asks: its title."""
    return notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def card(name: str, notebook: Any) -> str:
    """Its first figure above its question, as a link to its page."""
    alt = escaped(next(alt_texts(notebook), ""))
    if not alt:
        return f"- [{question(notebook)}]({name}.md)"
    return f"- [![{alt}]({name}_1.svg)]({name}.md)\n  [{question(notebook)}]({name}.md)"


def escaped(alt: str) -> str:
    """Words between brackets, in which one more would end them."""
    return alt.replace("]", "\\]")


def alt_texts(notebook: Any) -> Iterator[str]:
    """The sentences of its figures, in their order."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/svg+xml" in output.get("data", {}):
                yield output.metadata.get("alt", "")


def page(name: str, notebook: Any) -> str:
    """The notebook as Markdown: text, code, what was printed, figures with what is to be seen in them."""
    blocks, number = [], 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            blocks.append(moved(cell.source, f"notebooks/{name}.py", f"docs/gallery/{name}.md"))
            continue
        blocks.append(f"```python\n{cell.source}\n```")
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stdout":
                blocks.append(f"```{{code-block}} text\n:class: printed\n\n{output.text.rstrip()}\n```")
            elif "image/svg+xml" in output.get("data", {}):
                number += 1
                blocks.append(f"![{escaped(output.metadata.get('alt', ''))}]({name}_{number}.svg)")
    return "\n\n".join(blocks) + "\n"
