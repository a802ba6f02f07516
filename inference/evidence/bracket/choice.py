"""Which of the methods' answers to believe, datum by datum, and when to be suspicious of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.estimate import NORMAL_95
from elbowroom.inference.evidence.bracket.ledger import Column, Ledger

LOWER = ("quadrature", "adapted importance", "annealing", "importance")
UPPER = ("quadrature", "adapted importance, upper", "reverse annealing")
"""In order of trust. The order does not look at the values, so choosing brings no bias of its own."""

MIDDLE = "bridge"
"""The third opinion: no bound, but it should lie between them."""

_SUSPICIOUS = 4.0  # standard errors
_NEGLIGIBLE = 0.02  # nats: a disagreement below it is not worth a flag


class Side(NamedTuple):
    """One side of the bracket, for every datum."""

    value: Tensor  # [B]
    stderr: Tensor  # [B]
    methods: tuple[str, ...]  # "" where no method has answered
    flags: tuple[str, ...]


def choose(ledger: Ledger, order: tuple[str, ...]) -> Side:
    """The first method without a flag; if all are flagged the largest value, since flagged values are too low."""
    columns = [(name, ledger.columns[name]) for name in order if name in ledger.columns]
    value = torch.full((ledger.num_data,), torch.nan, dtype=torch.float64)
    stderr, methods, flags = value.clone(), [""] * ledger.num_data, [""] * ledger.num_data
    for b in range(ledger.num_data):
        answered = [(name, c) for name, c in columns if not c.value[b].isnan() or c.flags[b]]
        if not answered:
            continue
        clean = [(name, c) for name, c in answered if not c.flags[b]]
        name, column = clean[0] if clean else max(answered, key=lambda pair: _rank(pair[1], b))
        value[b], stderr[b], methods[b], flags[b] = column.value[b], column.stderr[b], name, column.flags[b]
    return Side(value, stderr, tuple(methods), tuple(flags))


def suspicions(ledger: Ledger, lower: Side, upper: Side) -> list[str]:
    """Where answers that should agree do not: a reason for each datum, or an empty string."""
    reasons = [""] * ledger.num_data
    for b, reason in _crossed(lower, upper):
        reasons[b] = reason
    for name in (*LOWER, MIDDLE):
        column = ledger.columns.get(name)
        if column is None:
            continue
        above = column.value - upper.value > _room(column.stderr, upper.stderr)
        below = (lower.value - column.value > _room(column.stderr, lower.stderr)) & (name == MIDDLE)
        for b in (above | below).nonzero().flatten().tolist():
            if not column.flags[b] and not reasons[b]:
                reasons[b] = (
                    f"{name} says {column.value[b]:.3f} ± {column.stderr[b]:.3f}, outside of the bracket "
                    f"[{lower.value[b]:.3f}, {upper.value[b]:.3f}]: the methods disagree"
                )
    return reasons


def notes(ledger: Ledger, lower: Side) -> tuple[str, ...]:
    """Where importance sampling from the guide looks clean and is low all the same; where the programs raised."""
    texts = [""] * ledger.num_data
    column = ledger.columns.get("importance")
    if column is not None:
        low = lower.value - column.value > _room(column.stderr, lower.stderr)
        for b in low.nonzero().flatten().tolist():
            if not column.flags[b]:
                texts[b] = (
                    f"importance sampling from the guide is {lower.value[b] - column.value[b]:.2f} nats low without a "
                    "sign in its weights: the guide misses a part of the posterior"
                )
    for b in ledger.refused.nonzero().flatten().tolist():
        told = f"the programs raised a numerical error at {int(ledger.refused[b])} points: density zero there"
        texts[b] = "; ".join(filter(None, (texts[b], told)))
    return tuple(texts)


def width(lower: Side, upper: Side) -> Tensor:
    """Length of the 95 % interval that holds both sides, `[B]`, nats; +∞ where a side is missing.

    Sides that noise has crossed count as equal: they do not make up for each other's errors.
    """
    length = (upper.value - lower.value).clamp_min(0) + NORMAL_95 * (upper.stderr + lower.stderr)
    return length.nan_to_num(torch.inf, posinf=torch.inf, neginf=torch.inf)


def settled(ledger: Ledger, tolerance: float) -> Tensor:
    """Which data need no more work: both sides without a flag, no disagreement, an interval within tolerance, `[B]`."""
    lower, upper = choose(ledger, LOWER), choose(ledger, UPPER)
    doubts = suspicions(ledger, lower, upper)
    clean = [not (a or b or c) for a, b, c in zip(lower.flags, upper.flags, doubts, strict=True)]
    return torch.tensor(clean) & (width(lower, upper) <= tolerance)


def _crossed(lower: Side, upper: Side) -> list[tuple[int, str]]:
    """The data whose bounds have crossed beyond chance, each with the reason for suspicion."""
    crossed = lower.value - upper.value > _room(lower.stderr, upper.stderr)
    return [
        (b, f"the lower bound ({lower.methods[b]}) lies above the upper one ({upper.methods[b]}) by more than chance")
        for b in crossed.nonzero().flatten().tolist()
    ]


def _room(one: Tensor, other: Tensor) -> Tensor:
    """How far apart two values with these errors may lie without a reason for suspicion, nats."""
    return _SUSPICIOUS * torch.hypot(one, other) + _NEGLIGIBLE


def _rank(column: Column, b: int) -> float:
    value = float(column.value[b])
    return value if value == value else -float("inf")
