"""log p_a(x) − log p_b(x) of each datum, between what two brackets say."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.inference.two_models.paired import Paired


def difference(brackets: Sequence[Bracket], num_data: int, anew: bool) -> tuple[Paired, Tensor]:
    """log p_a − log p_b of the data whose sides are all free of flags, and which are not, `[n]` bool.

    That an interval is wide is no reason to leave a datum out: its width counts.
    """
    known = torch.ones(len(brackets[0]), dtype=torch.bool)
    for bracket in brackets:
        any_width = read(bracket.ledger, math.inf, {}, bracket.unit, (), bracket.from_below)
        finite = bracket.lower.value.isfinite() & bracket.upper.value.isfinite()
        known &= any_width.settled & finite
    low, high = ends(brackets)
    return Paired(low[known], high[known], error(brackets)[known], num_data, anew), ~known


def ends(brackets: Sequence[Bracket]) -> tuple[Tensor, Tensor]:
    """The two ends of log p_a − log p_b of every datum, `[n]` each, nats."""
    a, b = brackets
    return a.lower.value - b.upper.value, a.upper.value - b.lower.value


def error(brackets: Sequence[Bracket]) -> Tensor:
    """The standard error of either end, `[n]`: that of the less certain side of each model."""
    a, b = (torch.maximum(bracket.lower.stderr, bracket.upper.stderr) for bracket in brackets)
    return torch.hypot(a, b)
