"""Draws beyond the roots of the smallest and the largest number are a sign of an improper posterior."""

import torch
from torch import Tensor

from elbowroom.inference import Draws
from elbowroom.inference.mcmc.float_limits import at_limits


def test_draws_at_the_limits_of_numbers() -> None:
    """Beyond the root of the smallest or largest number; zero itself is a number like others."""
    z = torch.ones(2, 500, 6, 2, dtype=torch.float64)
    z[0, :2, 1, 1], z[0, :1, 2, 0], z[:, :, 3], z[0, 9:11, 4] = 1e-160, 1e-160, 0.0, -1e160
    z[:, :, 5] = 1e-30
    reasons = at_limits(draws({"z": z}))
    assert [bool(reason) for reason in reasons] == [False, True, False, False, True, False]
    assert "0.2 % of the draws" in reasons[1] and "improper" in reasons[1]
    assert all(at_limits(draws({"z": z.float()}))[i] for i in (4, 5))  # infinite, and 1e-30 squared is 0 there
    assert at_limits(draws({"a": torch.ones_like(z), "b": z[..., 0]}))[4]


def draws(z: dict[str, Tensor]) -> Draws:
    return Draws(z, [], {}, {})
