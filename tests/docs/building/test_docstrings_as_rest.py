"""Docstrings become reStructuredText that says the same, and nothing in them is read as a mark."""

import inspect
import re
from io import StringIO

import pytest

from building.docstrings import as_rest, inline, language, sections
from building.public_names import public_names
from building.reference_pages import own_members

DOCSTRING = """What it computes, |x|, of `x [B]` and *each* q_.

    log p(x) = log Σ_z p(x, z)

        indented further

Trained so:

    model = VAE(64, 2)

    fit(model)

Either:

- a thing that goes on
  in its second line,
- another.

Args:
    x, y: data `[B, P]`,
        on two lines.
    *args: of the programs.

Raises:
    ValueError: if it is wrong.
    Whatever the caller raises.
"""


def test_a_docstring_as_a_whole() -> None:
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(as_rest(DOCSTRING)))
    assert r"What it computes, \|x\|, of ``x [B]`` and *each* q\_." in text
    assert ".. code-block:: text\n\n   log p(x) = log Σ_z p(x, z)\n\n       indented further\n" in text
    assert ".. code-block:: python\n\n   model = VAE(64, 2)\n\n   fit(model)\n" in text
    assert "- a thing that goes on\n  in its second line,\n- another." in text
    assert ":Arguments:\n   ``x``, ``y``\n      data ``[B, P]``\\ ,\n      on two lines.\n" in text
    assert "   ``*args``\n      of the programs." in text
    assert ":Raises:\n   ``ValueError``\n      if it is wrong.\n\n   Whatever the caller raises." in text


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("a * b", r"a \* b"),
        ("**kwargs of it", r"\*\*kwargs of it"),
        ("x_b and z_1 stay", "x_b and z_1 stay"),
        ("`log w`s", "``log w``\\ s"),
        ("(`a`)", "(\\ ``a``\\ )"),
        ("a lone ` too", r"a lone \` too"),
    ],
)
def test_marks(said: str, written: str) -> None:
    assert inline(said) == written


def test_code_is_told_from_formulas() -> None:
    assert language("    log p(x) = 1") == "text" and language("    x = f(1)") == "python"


def test_code_and_a_formula_below_it_are_two_blocks() -> None:
    text = "\n".join(as_rest("So:\n\n    f(1)\n\n    p(x) = 1\n\n    for i in x:\n\n        f(i)\n"))
    assert [line for line in text.splitlines() if line.startswith("..")] == [
        ".. code-block:: python", ".. code-block:: text", ".. code-block:: python",
    ]  # fmt: skip


def test_sections_are_told_from_headings() -> None:
    """With a blank line below it, a line with a colon is text."""
    assert [name for name, _ in sections(DOCSTRING)] == ["", "Args", "Raises"]


@pytest.mark.slow
def test_docutils_reads_every_public_docstring() -> None:
    core = pytest.importorskip("docutils.core", reason="docutils comes with the extra docs")
    told = {name.path: name.docstring for name in public_names()}
    for name in public_names():
        if name.kind in ("class", "exception"):
            told |= {f"{name.path}.{m}": inspect.getdoc(getattr(name.value, m)) or "" for m in own_members(name.value)}
    assert len(told) > 400
    text = "\n\n".join(f".. {path}\n\n" + "\n".join(as_rest(doc)) for path, doc in told.items())
    document = core.publish_doctree(
        text, settings_overrides={"report_level": 2, "halt_level": 5, "warning_stream": StringIO()}
    )
    assert [
        node.astext() for node in document.findall() if node.tagname == "system_message" and node["level"] > 1
    ] == []
