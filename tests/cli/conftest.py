"""A small trained run, and the command run in this process as a shell would run it."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyro
import pytest
import torch

from elbowroom import __main__
from elbowroom.__main__ import main
from elbowroom.inference import Audit, Target
from toys.audit_results import short_audit
from toys.commands import SMALL, Result, Run


@pytest.fixture(scope="session", autouse=True)
def _one_parser() -> Iterator[None]:
    """A process has one command, and one parser: made once for all tests, not for each command."""
    with patch.object(__main__, "_parser", cache(__main__._parser)):
        yield


@pytest.fixture(autouse=True)
def _single_precision(_global_state: None) -> None:
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what a command adds to the import path and the modules is taken back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("ELBOWROOM_DATA", raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def run(folder: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process, with an empty parameter store as in a new one."""

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        try:
            with pyro.get_param_store().scope():
                code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return Result(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def _pixels() -> np.ndarray:
    """90 data of 3×3 binary pixels with two hidden causes."""
    random = np.random.default_rng(0)
    z, weight = random.normal(size=(90, 2)), random.normal(size=(2, 9))
    return (random.random((90, 9)) < 1 / (1 + np.exp(-2 * z @ weight))).astype(np.float32).reshape(90, 3, 3)


@pytest.fixture
def pixels(folder: Path, _pixels: np.ndarray) -> Path:
    """The data as a file in the working directory."""
    np.save(folder / "pixels.npy", _pixels)
    return folder / "pixels.npy"


@pytest.fixture
def programs(folder: Path) -> Path:
    """A user's own programs in the working directory."""
    return Path(shutil.copy(Path(__file__).parents[1] / "toys" / "programs_of_mine.py", folder / "mine.py"))


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory, _pixels: np.ndarray) -> Path:
    where = tmp_path_factory.mktemp("trained")
    np.save(where / "pixels.npy", _pixels)
    dtype = torch.get_default_dtype()  # of a test before, on some workers
    torch.set_default_dtype(torch.float32)
    with chdir(where):  # what the run records of its data is true of every copy
        assert main(["train", "--output", "run", "--data.name=pixels.npy", *SMALL, "--json"]) == 0
    torch.set_default_dtype(dtype)
    return where


@pytest.fixture
def trained(folder: Path, _trained: Path) -> Path:
    """A finished run in the working directory, with a data file of its own."""
    shutil.copytree(_trained, folder, dirs_exist_ok=True)
    return folder / "run"


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """The targets that the command would have audited: it is given an audit of other data."""
    from elbowroom.commands import audit

    targets: list[Target] = []

    def take(target: Target, **options: object) -> Audit:
        targets.append(target)
        return replace(short_audit(), skipped={"examination": "the data are others"})

    monkeypatch.setattr(audit, "audit_target", take)
    return targets
