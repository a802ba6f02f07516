"""The error of an upper bound from two halves of the weights."""

import torch

from elbowroom.inference.weights.power_means import power_sums, tangent
from toys.programs import data


def test_the_error_of_an_upper_bound_is_the_delta_methods() -> None:
    """√(Σ_h (d value / d log c_h)² Var(c_h) / c_h²), the derivatives by autograd; the halves spread differently."""
    log_w = data(101, 4)
    log_w[1::2] *= 3
    value, error = tangent(power_sums(log_w, 1.0))
    halves = [log_w[0::2].exp(), log_w[1::2].exp()]
    logs = [half.mean(0).log().requires_grad_() for half in halves]
    bound = (logs[0] + logs[1]) / 2 + (logs[0] - logs[1]).cosh() - 1
    torch.testing.assert_close(value, bound.detach())
    slopes = torch.autograd.grad(bound.sum(), logs)
    relative = [half.var(0) / len(half) / half.mean(0) ** 2 for half in halves]
    expected = sum(slope.square() * part for slope, part in zip(slopes, relative, strict=True))
    torch.testing.assert_close(error.square(), expected)
