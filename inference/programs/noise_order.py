"""Which of a distribution's random numbers belong to which datum: the order in which families ask torch for them.

A site of batch shape `[S, B]` asks for numbers of some shape, and each must come from the stream of its own datum and
sample. Whatever the order, every number is used once, so that the law of a draw is right; what an order that is not
understood would break is that a datum's draws are the same in any company.
"""

import math
from typing import Any

import torch
from pyro.distributions import ExpandedDistribution
from torch import Tensor

from elbowroom.inference.programs.log_prob import innermost
from elbowroom.inference.programs.private_pyro import expanded_batch

_OWN_DIM_FIRST = {"AsymmetricLaplace": 0, "SoftAsymmetricLaplace": 0, "Wishart": 1}
"""Families that draw with a dim of their own before the batch dims, and how many come behind these then."""


def in_order(noise: Tensor, shape: torch.Size, fn: Any) -> Tensor | None:
    """Noise of a site, `[*batch, n]`, as numbers of the shape that its distribution asks for; None if it is unclear.

    Known are: the batch dims first (`[*batch, ...]`), flattened (`[prod(batch), ...]`) or in an order of Pyro's that
    is flattened afterwards, and, of some families, a dim of their own before them (`[2, *batch]`).

    Args:
        noise: `[*batch, n]`.
        shape: of the numbers that are asked for.
        fn: the site's distribution, of batch shape `[*batch]`.
    """
    place = _place(shape, fn)
    if not place:
        return None if place is None else noise.reshape(shape)
    rank = len(fn.batch_shape)
    own, rest = shape[:place], shape[place + rank :]
    batch_first = noise.reshape(*fn.batch_shape, *own, *rest)
    return batch_first.movedim(tuple(range(rank)), tuple(range(place, place + rank)))


def _place(shape: torch.Size, fn: Any) -> int | None:
    """Where the batch dims begin, in the order of their rows; None if it cannot be told."""
    batch, family, expanded = fn.batch_shape, innermost(fn), _expanded(fn)
    if expanded is not None:
        # Drawn as [*new dims from the right, *own dims] and read row by row; dims between these are transposed.
        sizes, stretched = expanded_batch(expanded)
        leads = shape[: len(sizes)] == sizes or shape[: len(batch)] == batch
        return 0 if leads and not stretched else None
    behind = _OWN_DIM_FIRST.get(type(family).__name__)
    if behind is not None and len(shape) == 1 + len(family.batch_shape) + behind:
        return 1
    alone = shape[1:] if shape[:1] == (1,) else shape  # a dim of size 1 before the batch changes no order
    leads = batch in (shape[: len(batch)], alone[: len(batch)])
    return 0 if leads or shape[:1] == (math.prod(batch),) else None


def _expanded(fn: Any) -> ExpandedDistribution | None:
    """Pyro's expansion of a family that has none of its own, inside wrappers."""
    while not isinstance(fn, ExpandedDistribution):
        if not hasattr(fn, "base_dist"):
            return None
        fn = fn.base_dist
    return fn
