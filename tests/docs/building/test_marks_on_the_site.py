"""What the build does to a page that it has read: code that is not run, pictures without words, formulas."""

import re
from pathlib import Path

import pytest

nodes = pytest.importorskip("docutils.nodes", reason="docutils comes with the extra docs")
pytest.importorskip("sphinx", reason="Sphinx comes with the extra docs")
pytest.importorskip("latex2mathml", reason="latex2mathml comes with the extra docs")

from building import alt_texts, formulas, not_run, offline  # noqa: E402
from building.public_names import ROOT  # noqa: E402


def test_the_reason_above_a_block_is_read() -> None:
    block = nodes.literal_block("", "x", language="python")
    section = nodes.section("", nodes.comment("", "not run: takes `hours`"), block)
    assert not_run.reason_of(block) == "takes hours"
    section[0] = nodes.raw("", "<!-- not run: takes days -->", format="html")
    assert not_run.reason_of(block) == "takes days"
    section[0] = nodes.comment("", "names of others: X")
    assert not_run.reason_of(block) == ""
    assert not_run.reason_of(nodes.section("", nodes.literal_block("", "x"))[0]) == ""


def test_pictures_without_words_are_found() -> None:
    told, file, none = (nodes.image(uri=f"{i}.svg") for i in range(3))
    told["alt"], file["alt"] = "What is to be seen.", "figure.svg"
    document = nodes.section("", told, file, none)
    assert alt_texts.untold(document) == [file, none]


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ('<script src="https://x.y/a.js"></script>', True),
        ("<img alt='' src='//x.y/a.png'>", True),
        ('<link rel="stylesheet" href="https://x.y/a.css">', True),
        ('<link href="http://x.y/f" rel="preconnect">', True),
        ("<style>@import 'https://x.y/a.css'</style>", True),
        ("<style>a { src: url(https://x.y/a.woff) }</style>", True),
        ('<a href="https://x.y">followed by hand</a>', False),
        ('<script src="_static/a.js"></script><img src="data:image/png;base64,x">', False),
        ('<link rel="canonical" href="https://x.y/">', False),
    ],
)
def test_what_asks_over_the_network_is_found(text: str, asks: bool, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.html").write_text(text)
    assert bool(offline.requests(tmp_path)) == asks


def test_every_formula_of_the_notebooks_is_drawn() -> None:
    """Nothing of LaTeX is left."""
    text = "\n".join(path.read_text() for path in (ROOT / "notebooks").glob("[0-9]*.py"))
    found = re.findall(r"(?<!\$)\$([^$\n]+)\$(?!\$)", text)
    assert len(found) > 100
    drawn = [formulas.mathml(formula, "inline") for formula in found]
    assert [formula for formula, mathml in zip(found, drawn, strict=True) if "\\" in mathml] == []
    assert all(mathml.startswith("<math") for mathml in drawn)


def test_log_stands_apart() -> None:
    assert "mspace" in formulas.mathml(r"\log p(x)", "inline")
    assert "mspace" not in formulas.mathml(r"\log (x)", "inline")
