"""What estimates of log p(x) come to in the units of a kind of data: of bags of words their perplexity."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from elbowroom.commands.output import say
from elbowroom.commands.runs import Run
from elbowroom.inference import Estimate, Target, perplexity

Record = dict[str, Any]
Estimates = Mapping[str, Estimate]


def say_readings(opened: Run, target: Target, estimates: Estimates, quiet: bool) -> Record:
    """Print them, and return what they are as JSON, by name; nothing where log p(x) says it all.

    Args:
        opened: the run.
        target: its programs and the data of the estimates.
        estimates: by what they are called.
        quiet: print nothing.
    """
    return READINGS[opened.kind](target, estimates, quiet) if opened.kind in READINGS else {}


def _perplexities(target: Target, estimates: Estimates, quiet: bool) -> Record:
    record = {}
    for name, estimate in estimates.items():
        try:
            found = perplexity(estimate, target.args[0])
        except ValueError as reason:
            say(f"{name}: no perplexity: {reason}.", quiet)
            continue
        say(f"{name}: {found}", quiet)
        record[name] = asdict(found) | {"interval": list(found.interval)}
    return {"perplexity": record}


READINGS: Mapping[str, Callable[[Target, Estimates, bool], Record]] = {"bag": _perplexities}
"""Kind of data -> what is read off estimates of their log p(x)."""
