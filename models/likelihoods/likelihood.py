"""What every likelihood p(x|z) is: from the decoder's outputs to one distribution of a whole datum."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.networks.outputs import Output

Size = torch.Size | list[int] | tuple[int, ...]


class Likelihood(nn.Module):
    """p(x|z) from the decoder's outputs, each `[*batch, P]` (or `[*batch, P·per_value]`).

    Attributes:
        outputs: what a decoder may say about x under this likelihood, by its name, and how that becomes what `forward`
            takes; the first one is what a decoder built here says.
        data: what x it is for, a name in `elbowroom.datasets.KINDS`: `"binary"` (zeros and ones), `"real"`, `"unit"`
            (numbers in [0, 1]), `"counts"` (0, 1, 2, …) or `"levels"` (0, 1, …, of a known number).
        needs_exposure: whether p(x|z) is given the size of each datum, see `exposure.py`: `forward` takes it as
            `exposure`, one number a datum.
        has_own_sizes: whether the totals of x are these sizes, where no others are given.
        per_value: how many numbers each output holds of each value of x, side by side.
    """

    outputs: Mapping[str, Output]
    data: ClassVar[str]
    needs_exposure: bool = False
    has_own_sizes: bool = True
    per_value: int = 1

    @property
    def own_output(self) -> str:
        """What a decoder built here says, the first of `outputs`."""
        return next(iter(self.outputs))

    def of_object(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """What `forward` takes, from a distribution object of torch, Pyro or scvi of single entries, `[*batch, ...]`.

        Returns:
            None, if it is a distribution of another kind.

        Raises:
            ValueError: if it is of this kind, but contradicts what the likelihood was told.
        """
        return None

    def hearing(self, output: str | None) -> Self:
        """This, for a decoder that says `output` (None: what it returns says it): a parameter said so is not kept.

        Raises:
            ValueError: if such a parameter was given, too.
        """
        return self

    @property
    def unlearned(self) -> str:
        """What is to be said of a parameter of its own that has the value it was made with; empty if none has."""
        return ""


def is_vector(value: Any, of: dist.TorchDistribution) -> bool:
    """Whether `value` is a tensor of vectors as long as those of the distribution `of`; if not, torch finds the words.

    Torch's check of a *vector's* support first reduces over P, which costs more than the log-density.
    """
    return isinstance(value, Tensor) and value.shape[-1:] == of.event_shape
