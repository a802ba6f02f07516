"""The benchmarks are no part of the package: they are imported from the checkout."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2]))


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """Reading a benchmark's options sets the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A RESULTS.md of the test's own, which is not there yet."""
    monkeypatch.setattr("benchmarks.results.RESULTS", tmp_path / "RESULTS.md")
    return tmp_path / "RESULTS.md"
