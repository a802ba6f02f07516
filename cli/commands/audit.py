"""`elbowroom audit`: may q be trusted, how much room is there, and what to do next."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from elbowroom.commands.options import AuditOptions
from elbowroom.commands.output import ConditionHolds, finish, say
from elbowroom.commands.subject import say_subject, state_name, subject_of
from elbowroom.inference.audit import Audit, audit_target, check_condition, failed
from elbowroom.inference.evaluation.clock import budget_words, read_budget
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
    """Audit, print the verdict, and write the report; exit code 5 if the condition of `fail_if` holds."""
    if options.fail_if is not None:
        check_condition(options.fail_if)  # a condition that cannot be read is no reason to wait for
    read_budget(options.budget)
    subject = subject_of(options)
    where = subject.folder(options.output, "audit")
    state = where / f"state-{state_name(options, subject.part)}"
    say_subject(subject, options.json)
    if state.exists():
        say(f"Going on from {state}.", options.json)
    result = audit_target(
        subject.target,
        budget=options.budget,
        seed=options.seed,
        tolerance=options.tolerance,
        num_simulations=options.num_simulations,
        own_loss=options.own_loss,
        state=state,
        memory_bytes=options.memory_mib * 2**20,
        progress=not options.json,
    )
    result = replace(result, about=subject.about, announced=subject.announced)
    say(audit_table(result), options.json)
    files = save_audit(result, where, image_shape=subject.image_shape, title=subject.title)
    finish(audit_record(result), where / RECORD, options.json)
    say("Written: " + ", ".join(map(str, files)), options.json)
    unfinished = "examination" not in result.skipped and len(result.rows["decomposition"]) < len(result)
    if unfinished:
        say(f"The same command again goes on from there, with {budget_words(options.budget)} more.", options.json)
    say(how_long(result.provenance), options.json)
    if options.fail_if is not None and (reasons := failed(options.fail_if, result.numbers)):
        raise ConditionHolds("fail_if holds: " + "; ".join(reasons))
    return result
