"""Fixtures for every test: float64, a fixed seed, a clock of its own, and a check that nothing shared is changed."""

import importlib
from collections.abc import Iterator

import pyro
import pytest
import torch

from toys.clock import Clock, by_evaluations
from toys.global_state import switches


def pytest_configure(config: pytest.Config) -> None:
    """Import ArviZ once before the workers do: at its first import of the day it renames a file in the user's cache.

    Where there is none yet, of two workers that do so at once one fails.
    """
    if not hasattr(config, "workerinput") and getattr(config.option, "numprocesses", None):
        importlib.import_module("arviz")


@pytest.fixture(autouse=True)
def _global_state() -> Iterator[None]:
    """Float64 and a fixed seed in each test; whatever it calls must leave every other switch of the process alone."""
    dtype, rng = torch.get_default_dtype(), torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(20240229)
    before = switches()
    with pyro.get_param_store().scope():
        yield
    after = switches()
    torch.set_default_dtype(dtype)
    torch.set_rng_state(rng)
    # A test may set the default dtype; pytest itself moves its log handlers between the phases of a test.
    changed = [name for name in before if name not in ("default dtype", "loggers") and after[name] != before[name]]
    assert not changed, f"changed: {', '.join(changed)}"


@pytest.fixture(autouse=True)
def clock(_global_state: None, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No outcome depends on how fast the machine is or how busy: seconds are counted evaluations."""
    return by_evaluations(monkeypatch)


@pytest.fixture(autouse=True)
def _no_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are told a terminal's width, by which tables would be narrow."""
    monkeypatch.delenv("COLUMNS", raising=False)
