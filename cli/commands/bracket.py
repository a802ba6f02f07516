"""`elbowroom evidence --method bracket`: log p(x) of held-out data from below and from above."""

from typing import Any

from elbowroom.commands.options import EvidenceOptions
from elbowroom.commands.output import finish, named, say
from elbowroom.commands.readings import say_readings
from elbowroom.commands.subject import Subject, state_name
from elbowroom.inference import Bracket, bracket
from elbowroom.inference.estimate import reasons
from elbowroom.inference.evaluation.clock import budget_words
from elbowroom.inference.evidence.bracket.choice import contradicted
from elbowroom.report import bracket_table

BOUNDS = {
    "importance": "lower",
    "quadrature": "exact",
    "adapted importance": "lower",
    "adapted importance, upper": "upper",
    "population Monte Carlo": "lower",
    "population Monte Carlo, upper": "upper",
    "refined importance": "lower",
    "refined importance, upper": "upper",
    "particles": "none",
    "bridge": "none",
    "expedition": "lower",
    "earlier rounds": "lower",
    "missed modes": "lower",
    "annealing": "lower",
    "reverse annealing": "an upper estimate, as far as the chains have converged",
}
"""What each method's value bounds, in expectation."""


def run_bracket(subject: Subject, options: EvidenceOptions) -> Bracket:
    """Bracket every datum within the budget, print the table, and write what every method said."""
    where = subject.folder(options.output, "evidence")
    state = where / f"evidence-{state_name(options, subject.part)}.state.safetensors"
    if state.exists():
        say(f"Going on from {named(state)}.", options.json)
    result = bracket(
        subject.target,
        budget=options.budget,
        tolerance=options.tolerance,
        seed=options.seed,
        state=state,
        memory_bytes=options.memory_mib * 2**20,
        progress=not options.json,
    )
    say(bracket_table(result), options.json)
    sides = {"lower": result.lower, "upper": result.upper}
    readings = say_readings(subject, sides, options.json, options.units)
    finish(record(result, subject, options) | readings, where / "evidence.json", options.json)
    say(f"Per-datum values: {named(where / 'evidence.json')}", options.json)
    if not bool(result.settled.all()):
        say(
            f"The same command again goes on from {named(state)}, with {budget_words(options.budget)} more.",
            options.json,
        )
    return result


def record(result: Bracket, subject: Subject, options: EvidenceOptions) -> dict[str, Any]:
    """Every datum's bracket and every method's answer, in nats, as JSON."""
    against = contradicted(result.ledger)
    return {
        "units": "nats per datum",
        "method": "bracket",
        "split": subject.part,
        "which": options.which,
        "seed": options.seed,
        "tolerance": options.tolerance,
        "budget": options.budget,
        "seconds": result.seconds,
        "forecast": result.forecast,
        "unit": result.unit,
        "num_settled": int(result.settled.sum()),
        "bounds": {"lower": "lower", "upper": "upper", **BOUNDS},
        "data": [_row(result, against, b) for b in range(len(result))],
        **subject.record,
    }


def _row(result: Bracket, against: dict[str, tuple[str, ...]], b: int) -> dict[str, Any]:
    row: dict[str, Any] = {"datum": b}
    for name, side in (("lower", result.lower), ("upper", result.upper)):
        method = side.info["method"][b] or None
        row |= {name: side.value[b].item(), f"{name}_stderr": side.stderr[b].item(), f"{name}_method": method}
    row |= {"width": result.width[b].item(), "flag": result.flags[b], "note": result.notes[b]}
    row["unnormalised"] = result.unnormalised[b]
    answered = {name: c for name, c in result.ledger.columns.items() if bool(result.ledger.has(name)[b])}
    row["methods"] = {
        name: {"value": c.value[b].item(), "stderr": c.stderr[b].item(), "flag": reasons(c.flags[b], against[name][b])}
        for name, c in answered.items()
    }
    return row
