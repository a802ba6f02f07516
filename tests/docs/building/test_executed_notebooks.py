"""Notebooks on the site: which are run, how they become pages, and that they are kept by what they and the code do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from nbformat import NotebookNode, v4

from building import code_hash as hashes
from building import executed, explorer, gallery_pages
from building.code_hash import code_hash, code_of, text_hash
from building.public_names import ROOT

SOURCE = "def f(x):\n    return x + 1\n"


@pytest.fixture(autouse=True)
def _few_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The code of one folder stands for that of the package, of which reading takes a second."""
    monkeypatch.setattr(hashes, "source_folders", lambda: [ROOT / "rivals"])
    code_hash.cache_clear()
    yield
    code_hash.cache_clear()


def test_docstrings_and_comments_change_no_code() -> None:
    told = (
        '"""What it is."""\n\n\ndef f(x):\n    """One more."""\n    return x + 1  # why\n\n\nA = 1\n"""What A is."""\n'
    )
    assert code_of(told) == code_of(SOURCE + "A = 1\n")
    assert code_of(SOURCE) != code_of(SOURCE.replace("+ 1", "+ 2"))
    assert code_of("x = 'a'") != code_of("x = 'b'"), "only strings that stand alone are words"


def test_texts_have_names_of_their_own() -> None:
    assert len({text_hash("a"), text_hash("a", ""), text_hash("b")}) == 3 and len(code_hash()) == 16


def test_every_notebook_has_a_key_that_changes_with_it(tmp_path: Path) -> None:
    (tmp_path / "01_a.py").write_text(SOURCE)
    before = executed.key_of(tmp_path / "01_a.py")
    (tmp_path / "01_a.py").write_text(SOURCE + "\n")
    assert executed.key_of(tmp_path / "01_a.py") != before


def test_what_is_kept_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executed, "KEPT", tmp_path)
    names = [path.stem for path in executed.NOTEBOOKS.glob("[0-9]*.py")]
    for name in names:
        folder = tmp_path / f"{name}-{executed.key_of(executed.NOTEBOOKS / f'{name}.py')}"
        folder.mkdir()
        (folder / f"{name}.ipynb").touch()
    monkeypatch.setattr(executed, "ProcessPoolExecutor", None)  # would be called
    assert set(executed.executed()) == set(names)


def test_pages_of_other_code_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executed, "KEPT", tmp_path / "notebooks")
    place = executed.pages_kept()
    for folder in (place, tmp_path / "pages-of-old-code"):
        folder.mkdir()
    assert executed.pages_kept() == place and sorted(tmp_path.iterdir()) == [place]


def notebook() -> NotebookNode:
    """A question, code, what it printed, and a figure."""
    text, code = v4.new_markdown_cell("# Why?\n\nSee [2](02_b.py)."), v4.new_code_cell("print(1)")
    code.outputs = [
        v4.new_output("stream", name="stderr", text="a warning"),
        v4.new_output("stream", name="stdout", text="1\n"),
        v4.new_output("display_data", {"image/png": "", "image/svg+xml": "<svg/>"}, metadata={"alt": "A [0, 1] line."}),
    ]
    return v4.new_notebook(cells=[text, code])


def test_a_notebook_as_a_page() -> None:
    assert gallery_pages.page("01_a", notebook()) == (
        "# Why?\n\nSee [2](02_b.md).\n\n```python\nprint(1)\n```\n\n"
        "```{code-block} text\n:class: printed\n\n1\n```\n\n![A [0, 1\\] line.](01_a_1.svg)\n"
    )


def test_a_notebook_as_a_card() -> None:
    assert gallery_pages.card("01_a", notebook()) == ("- [![A [0, 1\\] line.](01_a_1.svg)](01_a.md)\n  [Why?](01_a.md)")
    bare = v4.new_notebook(cells=[v4.new_markdown_cell("# Why?")])
    assert gallery_pages.card("01_a", bare) == "- [Why?](01_a.md)"


def test_the_explorer_is_made_by_two_commands_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def command(place: str, *words: str) -> None:
        asked.append(words)
        if words[0] == "explore":
            page = Path(place) / words[words.index("--output") + 1]
            page.mkdir()
            (page / "explore.html").write_text("<html>")

    monkeypatch.setattr(explorer, "_command", command)
    monkeypatch.setattr(explorer, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(explorer, "SHOWN", tmp_path / "shown" / "explorer.html")
    monkeypatch.setattr(explorer, "COMMANDS", {"train": None})
    assert explorer.page() == "" and not asked
    monkeypatch.setattr(explorer, "COMMANDS", {"explore": None})
    assert explorer.page() == explorer.page() == explorer.PAGE
    assert explorer.SHOWN.read_text() == "<html>"
    assert [words[0] for words in asked] == ["train", "explore"] and asked[1][asked[1].index("--run") + 1] == asked[0][
        -1
    ]
