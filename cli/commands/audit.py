"""`elbowroom audit`: may q be trusted, how much room is there, and what to do next."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from elbowroom.commands.options import AuditOptions
from elbowroom.commands.output import ConditionHolds, finish, named, say
from elbowroom.commands.subject import Subject, say_subject, state_name, subject_of
from elbowroom.inference import Exploration, explore, read_shards
from elbowroom.inference.audit import Audit, audit_target, check_condition, failed
from elbowroom.inference.evaluation.clock import Clock, budget_words, read_budget
from elbowroom.inference.evidence.bits import unit_of
from elbowroom.inference.showing.numbers import plain
from elbowroom.report import audit_record, audit_table, save_audit
from elbowroom.report.audit_files import RECORD


def how_long(provenance: Mapping[str, Any]) -> str:
    """How long it took, and by how much that is more than the budget."""
    budget, seconds = provenance["budget"], provenance["seconds"]
    told, more = f"This took {seconds:.0f} s", 0.0 if isinstance(budget, str) else seconds - budget
    if more < 1 or more < 0.05 * budget:
        return f"{told}."
    return (
        f"{told}, {more:.0f} s more than the budget of {budget:g} s: each datum is weighed in any case, and what was "
        "begun is finished; --limit takes fewer data."
    )


def run(options: AuditOptions) -> Audit:
    """Audit, write the report, and print the verdict; exit code 5 if the condition of `fail_if` holds."""
    if options.fail_if is not None:
        check_condition(options.fail_if)  # a condition that cannot be read is no reason to wait for
    read_budget(options.budget)
    subject = subject_of(options)
    where = subject.folder(options.output, "audit")
    state = where / f"state-{state_name(options, subject.part)}"
    say_subject(subject, options.json)
    if state.exists():
        say(f"Going on from {named(state)}.", options.json)
    result = audit_target(
        subject.target,
        evidence=None if options.evidence is None else read_shards(options.evidence).of(subject.target),
        budget=options.budget,
        seed=options.seed,
        tolerance=options.tolerance,
        num_simulations=options.num_simulations,
        own_loss=options.own_loss,
        state=state,
        memory_bytes=options.memory_mib * 2**20,
        progress=not options.json,
    )
    bits = bits_of(result, subject) if options.units == "bits" else {}
    about = {**subject.about, **({"bits per dimension": bits} if bits else {})}
    result = replace(result, about=about, announced=subject.announced)
    try:
        _write(result, subject, where, options)
    finally:  # last, where a terminal stops, and whether or not there was room for the files
        say(audit_table(result), options.json)
        if bits:
            say("Bits per dimension: " + "; ".join(f"{name} {said}" for name, said in bits.items()) + ".", options.json)
    if options.fail_if is not None and (reasons := failed(options.fail_if, result.numbers)):
        raise ConditionHolds("fail_if holds: " + "; ".join(reasons))
    return result


def _explored(result: Audit, options: AuditOptions) -> dict[str, Exploration]:
    """The explorer's part of the report, if it was asked for."""
    if not options.explore:
        return {}
    clock = Clock(options.budget)
    found = explore(
        result,
        budget=clock.part(clock.budget / 2),
        seed=options.seed,
        memory_bytes=options.memory_mib * 2**20,
        progress=not options.json,
    )
    return {"exploration": found}


def bits_of(result: Audit, subject: Subject) -> dict[str, str]:
    """Mean ELBO, log p(x) and room in bits per dimension, in words, as far as they are known."""
    data, said = subject.dataset, {}
    unit = unit_of(subject.target, data.unit, data.dequantize != "none")
    converted = {"ELBO": ("elbo", unit.of), "log p(x)": ("log_p", unit.of), "room": ("gap", unit.difference)}
    for label, (name, convert) in converted.items():
        if (number := result.numbers.get(name)) is not None:
            ends = sorted(float(convert(torch.tensor(end, dtype=torch.float64))) for end in (number.low, number.high))
            value = float(convert(torch.tensor(number.value, dtype=torch.float64)))
            low, high = (plain(end, 4) for end in ends)
            said[label] = plain(value, 4) + (f" (95 %: {low} … {high})" if low != high else "")
    bound = " an upper bound, of one draw of the noise," if unit.dequantized else ""
    return said | ({"unit": f"{unit.says};{bound} fewer are better"} if said else {})


def _write(result: Audit, subject: Subject, where: Path, options: AuditOptions) -> None:
    files = save_audit(
        result, where, image_shape=subject.image_shape, title=subject.title, **_explored(result, options)
    )
    finish(audit_record(result), where / RECORD, options.json)
    say("Written: " + named(*files), options.json)
    unfinished = "examination" not in result.skipped and len(result.rows["decomposition"]) < len(result)
    if unfinished:
        say(f"The same command again goes on from there, with {budget_words(options.budget)} more.", options.json)
    say(how_long(result.provenance), options.json)
