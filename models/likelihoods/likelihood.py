"""What every likelihood p(x|z) is: from the decoder's outputs to one distribution of a whole datum."""

from typing import Any, ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor, nn

Size = torch.Size | list[int] | tuple[int, ...]


class Likelihood(nn.Module):
    """p(x|z) from the decoder's outputs, each `[*batch, P]` (or `[*batch, P·per_value]`).

    Attributes:
        outputs: what a decoder may say about x under this likelihood (names in `elbowroom.networks.outputs`);
            the first one is what a decoder built here says.
        data: what x it is for, a name in `elbowroom.datasets.KINDS`: `"binary"` (zeros and ones), `"real"`, `"unit"`
            (numbers in [0, 1]), `"counts"` (0, 1, 2, …) or `"levels"` (0, 1, …, of a known number).
        needs_exposure: whether p(x|z) is given the size of each datum, see `exposure.py`: `forward` takes it as
            `exposure`, one number a datum.
        per_value: how many numbers each output holds of each value of x, side by side.
    """

    outputs: ClassVar[tuple[str, ...]]
    data: ClassVar[str]
    needs_exposure: bool = False
    per_value: int = 1


def is_vector(value: Any, of: dist.TorchDistribution) -> bool:
    """Whether `value` is a tensor of vectors as long as those of the distribution `of`; if not, torch finds the words.

    Torch's check of a *vector's* support first reduces over P, which costs more than the log-density.
    """
    return isinstance(value, Tensor) and value.shape[-1:] == of.event_shape
