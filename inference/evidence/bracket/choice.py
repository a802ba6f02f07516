"""Which of the methods' answers to believe, datum by datum, and when to be suspicious of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.estimate import NORMAL_95, Bound, Estimate, contradictions, reasons, room_for
from elbowroom.inference.evidence.bracket.ledger import Column, Ledger

POPULATION = ("population Monte Carlo", "population Monte Carlo, upper")
"""What a mixture gives that was fitted to weighed draws of guide and prior."""

REFINED = ("refined importance", "refined importance, upper")
"""What a Gaussian fitted to each datum gives."""

LOWER = ("quadrature", "adapted importance", POPULATION[0], REFINED[0], "annealing", "importance")
UPPER = ("quadrature", "adapted importance, upper", POPULATION[1], REFINED[1], "reverse annealing")
"""In order of trust. The order does not look at the values, so choosing brings no bias of its own."""

MIDDLE = "bridge"
"""The third opinion: no bound, but it should lie between them."""

EXPEDITION = "expedition"
"""The second opinion: what was found from the prior alone, by an estimate that never saw the guide."""

PARTICLES = "particles"
"""Where particles from the prior ended in places that a proposal does not reach: flags, no values."""

EARLIER = "earlier rounds"
"""The largest value that a proposal or the search gave before it was run again."""

MISSED_MODES = "missed modes"
"""What chains say that the guide misses, as a lower bound; written down by an audit."""

FROM_BELOW = (*LOWER, EXPEDITION, EARLIER, MISSED_MODES)
"""Lower bounds in expectation, whatever their flags: a value that lies well below one of them is too low."""

_KNOWN = 0.25  # standard error from which on a lower bound contradicts nobody, nats

_BOUNDS: dict[str, Bound] = {"quadrature": "exact", MIDDLE: "none", **dict.fromkeys(UPPER[1:], "upper")}
"""What an answer is held to bound when others contradict it; the rest are lower bounds."""


class Side(NamedTuple):
    """One side of the bracket, for every datum."""

    value: Tensor  # [B]
    stderr: Tensor  # [B]
    methods: tuple[str, ...]  # "" where no method has answered
    flags: tuple[str, ...]


def choose(ledger: Ledger, order: tuple[str, ...]) -> Side:
    """The first method without a flag that no lower bound contradicts; if there is none, the largest value.

    Flagged values are too low, and so are contradicted ones; a contradicted one has that for a flag.
    """
    columns = [(name, ledger.columns[name], too_low(ledger, name)) for name in order if name in ledger.columns]
    value = torch.full((ledger.num_data,), torch.nan, dtype=torch.float64)
    stderr, methods, flags = value.clone(), [""] * ledger.num_data, [""] * ledger.num_data
    for b in range(ledger.num_data):
        answered = [(n, c, reasons(c.flags[b], no[b])) for n, c, no in columns if not c.value[b].isnan() or c.flags[b]]
        if not answered:
            continue
        clean = [answer for answer in answered if not answer[2]]
        name, column, flag = clean[0] if clean else max(answered, key=lambda answer: _rank(answer[1], b))
        value[b], stderr[b], methods[b], flags[b] = column.value[b], column.stderr[b], name, flag
    return Side(value, stderr, tuple(methods), tuple(flags))


def too_low(ledger: Ledger, method: str) -> list[str]:
    """For each datum the lower bound that lies above a method's value by more than chance, in words, or nothing."""
    told, column = [""] * ledger.num_data, ledger.columns[method]
    for name in FROM_BELOW:
        other = ledger.columns.get(name)
        if other is None or name == method:
            continue
        above = (other.value - column.value > room_for(other.stderr, column.stderr)) & (other.stderr <= _KNOWN)
        for b in above.nonzero().flatten().tolist():
            told[b] = told[b] or (
                f"{method} says {column.value[b]:.3f} ± {column.stderr[b]:.3f}, {_WHOSE.get(name, name)} says "
                f"{other.value[b]:.3f} ± {other.stderr[b]:.3f} from below: the methods disagree"
            )
    return told


_WHOSE = {
    EXPEDITION: "a search from the prior",
    EARLIER: "an earlier round",
    MISSED_MODES: "what chains found in modes that the guide misses",
}


def suspicions(ledger: Ledger, lower: Side, upper: Side) -> list[str]:
    """Where sides have crossed, the third opinion lies outside, or particles are not accounted for: reasons, or ""."""
    doubts = _unreached(ledger, lower)
    for b, reason in _crossed(lower, upper):
        doubts[b] = reason
    column = ledger.columns.get(MIDDLE)
    if column is not None:
        above = column.value - upper.value > room_for(column.stderr, upper.stderr)
        below = lower.value - column.value > room_for(column.stderr, lower.stderr)
        for b in (above | below).nonzero().flatten().tolist():
            if not column.flags[b] and not doubts[b]:
                doubts[b] = (
                    f"{MIDDLE} says {column.value[b]:.3f} ± {column.stderr[b]:.3f}, outside of the bracket "
                    f"[{lower.value[b]:.3f}, {upper.value[b]:.3f}]: the methods disagree"
                )
    return doubts


def notes(ledger: Ledger, lower: Side) -> tuple[str, ...]:
    """What is worth knowing, of each datum.

    That the guide misses a part without a sign, where the programs raised, and how little was seen from the prior.
    """
    texts = [""] * ledger.num_data
    column = ledger.columns.get("importance")
    if column is not None:
        low = lower.value - column.value > room_for(column.stderr, lower.stderr)
        for b in low.nonzero().flatten().tolist():
            if not column.flags[b]:
                texts[b] = (
                    f"importance sampling from the guide is {lower.value[b] - column.value[b]:.2f} nats low without a "
                    "sign in its weights: the guide misses a part of the posterior"
                )
    for b in ledger.refused.nonzero().flatten().tolist():
        told = f"the programs raised a numerical error at {int(ledger.refused[b])} points: density zero there"
        texts[b] = reasons(texts[b], told)
    expedition = ledger.columns.get(EXPEDITION)
    return tuple(reasons(text, expedition.flags[b] if expedition else "") for b, text in enumerate(texts))


def contradicted(ledger: Ledger) -> dict[str, tuple[str, ...]]:
    """method -> for each datum which other methods contradict its answer, or an empty string."""
    answers = {
        name: Estimate(c.value, c.stderr, _BOUNDS.get(name, "lower"), flags=tuple(c.flags))
        for name, c in ledger.columns.items()
    }
    return contradictions(answers)


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
    crossed = lower.value - upper.value > room_for(lower.stderr, upper.stderr)
    return [
        (b, f"the lower bound ({lower.methods[b]}) lies above the upper one ({upper.methods[b]}) by more than chance")
        for b in crossed.nonzero().flatten().tolist()
    ]


def _unreached(ledger: Ledger, lower: Side) -> list[str]:
    """What particles said that a proposal misses, where nothing more than it has been found since."""
    if PARTICLES not in ledger.columns:
        return [""] * ledger.num_data
    weighed = next(ledger.columns[names[0]] for names in (POPULATION, REFINED) if names[0] in ledger.columns)
    told = ledger.columns[PARTICLES].flags
    more = lower.value - weighed.value > room_for(lower.stderr, weighed.stderr)
    return ["" if found else text for text, found in zip(told, more.tolist(), strict=True)]


def _rank(column: Column, b: int) -> float:
    value = float(column.value[b])
    return value if value == value else -float("inf")
