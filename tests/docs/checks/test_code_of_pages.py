"""The code of pages runs: blocks of Python without a mark, in their order, with what the page takes for granted."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch

from checks.code_runs import run_by_tests
from checks.pages import ROOT, Page, pages
from toys.page_names import SaysItsNormal, fewer, given, mean_and_theta

ELSEWHERE = {"docs/training.md": "test_training_page.py", "docs/many_machines.md": "test_many_machines_page.py"}
"""Pages whose code a test of their own runs."""

PAGES = {page.path: page for page in pages() if run_by_tests(page) and page.path not in ELSEWHERE}


def changed(page: str, number: int) -> dict[str, Any]:
    """What a block means by other names than all pages do."""
    if page == "docs/likelihoods.md":  # counts, then grey values
        return [
            {"vae": SaysItsNormal(5, mean_and_theta), "x": torch.poisson(torch.full((6, 5), 3.0))},
            {"vae": SaysItsNormal(5), "x_train": torch.rand(40, 5)},
        ][number]
    return {}


@pytest.mark.parametrize("path", PAGES)
def test_the_code_of_a_page_runs(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = given()
    for number, block in enumerate(run_by_tests(PAGES[path])):
        names |= changed(path, number)
        exec(compile(fewer(block.code), str(block), "exec"), names)
    plt.close("all")


@pytest.mark.parametrize("path", ELSEWHERE)
def test_code_that_another_test_runs_is_run_there(path: str) -> None:
    test = (ROOT / "tests" / "docs" / ELSEWHERE[path]).read_text()
    assert Path(path).name in test and "exec(" in test
    assert run_by_tests(Page(path, (ROOT / path).read_text()))


def test_a_block_that_fails_would_be_seen() -> None:
    page = Page("p.md", "```python\nunknown()\n```\n\n<!-- not run: it would fail -->\n```python\nunknown()\n```\n")
    (block,) = run_by_tests(page)
    with pytest.raises(NameError):
        exec(compile(fewer(block.code), str(block), "exec"), given())
