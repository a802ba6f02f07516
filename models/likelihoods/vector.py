"""What the distributions of a whole datum share: shapes, expansion, and the refusal of values they cannot have."""

import math
from collections.abc import Callable
from copy import copy
from typing import Any, ClassVar, Self

import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.models.likelihoods.likelihood import Size, is_vector

_BLOCK = 256  # rows: of 784 single-precision numbers, less than a megabyte
_MOST_BLOCKS = 64  # so that a recorded program stays short

_ROWS = 8  # that an error lists


class Vector(dist.TorchDistribution):
    """x = (x_1, …, x_P) as one event: batch shape `[*batch]`, event shape `[P]`, log p summed over P.

    A subclass has parameters as torch's distributions have, and says which values it cannot have and what to do then.

    Args:
        batched: the name of the parameter `[*batch, P]` (or `[*batch, P, …]`) that batch and event shape are read
            off; the others broadcast with it.
        validate_args: check the parameters and the values; by default as torch is set.
    """

    wrong_values: str
    """What values outside the support are: "… values that are {wrong_values}"."""

    advice: str
    """What is expected, and what to do."""

    own_dims: ClassVar[int] = 0
    """How many dims of the batched parameter stand behind P."""

    def __init__(self, batched: str, validate_args: bool | None = None) -> None:
        self._batched = batched
        parameter = getattr(self, batched)
        num_batch = parameter.ndim - 1 - self.own_dims
        super().__init__(parameter.shape[:num_batch], parameter.shape[num_batch : num_batch + 1], validate_args)

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        """The same distribution for more data; no memory is copied."""
        new = copy(self)
        parameter, lead = getattr(self, self._batched), torch.Size(batch_shape)
        setattr(new, self._batched, parameter.expand(lead + parameter.shape[len(self.batch_shape) :]))
        dist.TorchDistribution.__init__(new, lead, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def is_possible(self, value: Tensor) -> Tensor:
        """Which entries of `value [*batch, P]` x can have; `_validate_sample` refuses the others."""
        raise NotImplementedError

    def _validate_sample(self, value: Tensor) -> None:
        """Torch's checks, entry by entry; where values are to blame, the error names their rows."""
        if not is_vector(value, self):
            super()._validate_sample(value)
        check_possible(value, self.is_possible(value), self.wrong_values, self.advice)


def in_blocks(log_prob: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    """`log_prob(*arguments)`, `[*batch]`, over few rows at a time: all that is made on the way stays in the cache.

    Args:
        log_prob: from tensors `[..., P]` to a sum over P, `[...]`.
        *arguments: broadcastable with each other.
    """
    arguments = tuple(torch.broadcast_tensors(*arguments))
    shape = arguments[0].shape[:-1]
    num_rows = math.prod(shape)
    if num_rows <= _BLOCK:
        return log_prob(*arguments)
    rows = max(_BLOCK, math.ceil(num_rows / _MOST_BLOCKS)) * shape[0] // num_rows  # of the leading dim
    blocks = zip(*(argument.split(max(rows, 1)) for argument in arguments), strict=True)
    return torch.cat([log_prob(*block) for block in blocks])


def check_possible(value: Tensor, possible: Tensor, wrong_values: str, advice: str) -> None:
    """Refuses data with values that a likelihood cannot have.

    Args:
        value: x, `[*batch, P]`.
        possible: which entries are as they should be, of the same shape; false for NaN.
        wrong_values: what the others are.
        advice: what is expected, and what to do.

    Raises:
        ValueError: with their number, the first of them and the rows of the data they are in.
    """
    if bool(possible.all()):
        return
    wrong = ~possible
    where = ""
    if value.ndim > 1:
        rows = wrong.any(-1).flatten(0, -2).any(0) if value.ndim > 2 else wrong.any(-1)  # of the data, [B]
        found = rows.nonzero().flatten().tolist()
        where = f" (rows {found[:_ROWS]}{f' and {len(found) - _ROWS} more' if len(found) > _ROWS else ''})"
    raise ValueError(
        f"x: got {int(wrong.sum())} of {value.numel()} values that are {wrong_values}, the first "
        f"{value[wrong][0]:.4g}{where}; {advice}"
    )


def level_advice(largest: int, option: str) -> str:
    """What a likelihood of the levels 0, 1, …, `largest`, told by `option`, says to other data."""
    return (
        f"expected 0, 1, …, {largest} under a likelihood with {option}; round the data or undo their scaling (grey "
        "values times their largest level), or give the number that the data have"
    )


def is_whole(value: Tensor, largest: float = torch.inf) -> Tensor:
    """Which entries are whole numbers 0, 1, …, at most `largest`; false for NaN and infinity."""
    return (value >= 0) & (value <= largest) & (value == value.round()) & (value < torch.inf)
