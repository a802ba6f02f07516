"""How far the results of two runs may be apart that ought to be the same."""

import torch
from torch import Tensor


def same(actual: Tensor, expected: Tensor, roundings: float = 1e4) -> bool:
    """Equal up to the rounding that another order of summation brings, or to so many roundings."""
    tolerance = roundings * torch.finfo(expected.dtype).eps if expected.is_floating_point() else 0.0
    return torch.allclose(actual, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
