"""Fixtures for every test: float64, a fixed seed, and a check that global state is left as it was found."""

from collections.abc import Iterator

import pyro
import pytest
import torch


@pytest.fixture(autouse=True)
def _global_state() -> Iterator[None]:
    """Float64 and a fixed seed in each test; the default dtype, the RNG and the parameter store are put back."""
    dtype, rng = torch.get_default_dtype(), torch.get_rng_state()
    validation = torch.distributions.Distribution._validate_args
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(20240229)
    with pyro.get_param_store().scope():
        yield
    assert torch.distributions.Distribution._validate_args == validation, "argument validation was switched"
    torch.set_default_dtype(dtype)
    torch.set_rng_state(rng)
