"""When two numbers with errors count as the same."""

import torch
from torch import Tensor

SIGMAS = 4.0
"""A difference below so many standard errors is noise."""
_EXACT = 1e-6  # nats: two lattices agree to this, so no difference below it is one


def in_standard_errors(difference: Tensor, *errors: Tensor) -> Tensor:
    """A difference in units of its standard error, which is never taken to be below a fourth of 1e-6 nats."""
    return difference / torch.stack([*errors, torch.full_like(difference, _EXACT / SIGMAS)]).square().sum(0).sqrt()
