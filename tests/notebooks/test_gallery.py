"""The figures of executed notebooks as files, the page of them, and what is said of claims that changed."""

import base64
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import gallery

PNG = b"\x89PNG made up"
SVG = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="3pt"><g/></svg>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = {"image/png": base64.b64encode(PNG).decode(), "image/svg+xml": SVG}
    shown = new_output("display_data", data=data, metadata={"alt": "A line <b> that rises & falls."})
    cells = [
        new_markdown_cell("# Is it *so*?\n\nIt is said."),
        new_code_cell("draw()", outputs=[shown, new_output("stream", name="stdout", text="1")]),
        new_markdown_cell(
            "## The claims\n\n- *It is so.* Not where $\\log p(x)$ < 0,\n  as `here`.\n- Nor there.\n\nOne seed."
        ),
    ]
    notebook = new_notebook(cells=cells)
    nbformat.write(notebook, tmp_path / "04_so.ipynb")
    (tmp_path / "04_so_2.png").write_bytes(b"of an earlier run")
    gallery.save_figures(notebook, "04_so", tmp_path)
    return tmp_path


def test_figures_are_files_with_their_sentence(folder: Path) -> None:
    assert sorted(path.name for path in folder.glob("04_so_*")) == ["04_so_1.png", "04_so_1.svg"]
    assert (folder / "04_so_1.png").read_bytes() == PNG
    root = ET.parse(folder / "04_so_1.svg").getroot()
    assert root.get("role") == "img" and root.get("width") == "3pt"
    assert root[0].tag.endswith("desc") and root[0].text == "A line <b> that rises & falls."


def test_the_page_has_question_answer_and_figure(folder: Path) -> None:
    text = gallery.write_index(folder).read_text()
    assert "<h2>Is it <em>so</em>?</h2>" in text
    assert (
        "<li><em>It is so.</em> Not where <i>log p(x)</i> &lt; 0, as <code>here</code>.</li><li>Nor there.</li>" in text
    )
    assert "<p>One seed.</p>" in text and "The claims" not in text
    assert 'src="04_so_1.png" alt="A line &lt;b&gt; that rises &amp; falls."' in text
