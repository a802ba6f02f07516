"""`elbowroom explore`: a page to walk through latent space, datum by datum."""

from pathlib import Path
from typing import Any

from elbowroom.commands.options import ExploreOptions
from elbowroom.commands.output import finish, named, say
from elbowroom.commands.subject import Subject, say_notes, say_subject, state_name, subject_of
from elbowroom.inference import Exploration, explore
from elbowroom.inference.audit import audit_target
from elbowroom.inference.evaluation.clock import Budget, Clock
from elbowroom.report import save_explorer

PAGE = "explore.html"

_AUDIT_SHARE = 0.5
"""Of the budget, for what is not known of the data yet."""


def run(options: ExploreOptions) -> Exploration:
    """Audit what is not audited yet, look around the data, and write the page."""
    clock = Clock(options.budget)
    subject = subject_of(options)
    chosen = None if options.indices is None else subject.checked(options.indices)
    where = subject.folder(options.output, "explore")
    say_subject(subject, options.json)
    say_notes(subject, options.json)
    state = known_audit(subject, options)
    if state.exists():
        say(f"What {named(state)} knows of these data is used.", options.json)
    settings: dict[str, Any] = {
        "seed": options.seed, "memory_bytes": options.memory_mib * 2**20, "progress": not options.json,
    }  # fmt: skip
    share = clock.part(_AUDIT_SHARE * clock.left)
    audited = audit_target(subject.target, budget=share, tolerance=options.tolerance, state=state, **settings)
    result = explore(audited, data=chosen, labels=_labels(subject, options), budget=rest_of(clock), **settings)
    page = save_explorer(
        result,
        where / PAGE,
        image_shape=subject.image_shape,
        title=subject.title,
        max_bytes=options.max_bytes,
    )
    say(str(result).split("\n(", 1)[0], options.json)
    finish(record(result, page, subject), where / "explore.json", options.json)
    say(f"Open {named(page)} in a browser: it asks for nothing over the network.", options.json)
    return result


def known_audit(subject: Subject, options: ExploreOptions) -> Path:
    """Where `audit` keeps what it knows of the same data; by itself this command keeps it there, too."""
    return subject.folder(None, "audit") / f"state-{state_name(options, subject.part)}"


def rest_of(clock: Clock) -> Budget:
    """What is left of a budget, or next to nothing of one that is spent: a few data are looked at in any case."""
    return clock.part(max(clock.left, 1e-3 if not clock.counts else 1.0))


def record(result: Exploration, page: Path, subject: Subject) -> dict[str, Any]:
    """Which data are in the page, and what is said of it."""
    return {
        "page": str(page),
        "num_data": len(result),
        "latents": list(result.latents),
        "views": [view.datum for view in result.views],
        "notices": list(result.notices),
        **subject.record,
    }


def _labels(subject: Subject, options: ExploreOptions) -> Any:
    """Of the data, if they have any."""
    labels = subject.dataset.labels.get(options.split or "test")
    return None if labels is None or subject.part == "all" else labels[: len(subject.target)]
