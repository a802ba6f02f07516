"""Libraries that are tried where they are installed, and what their imports change."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyro
import pytest
import torch
from torch.distributions import Distribution


@contextmanager
def library(name: str, extra: str) -> Iterator[Any]:
    """A module of another library, or a skip that says what to install; default dtype 32 bits, as it expects.

    Afterwards checks of arguments, Pyro's settings and the default dtype are as they were.

    Args:
        name: of the module.
        extra: of elbowroom, which has the library.
    """
    checks, settings, dtype = Distribution._validate_args, pyro.settings.get(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        module = pytest.importorskip(
            name, reason=f"{extra} is not installed (pip install 'elbowroom[{extra}]')", exc_type=ImportError
        )
        Distribution.set_default_validate_args(checks)
        pyro.settings.set(**settings)
        yield module
    finally:
        torch.set_default_dtype(dtype)
        Distribution.set_default_validate_args(checks)
        pyro.settings.set(**settings)
