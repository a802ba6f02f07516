"""What is said beside log p(x), by what a datum is and by what the programs can be asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import torch

from elbowroom.commands.output import say
from elbowroom.commands.subject import Subject
from elbowroom.inference import Estimate, Target, bits_per_dimension, code_usage, perplexity
from elbowroom.inference.evidence.bits import unit_of
from elbowroom.inference.showing.numbers import mean_with_interval, plain

Record = dict[str, Any]
Estimates = Mapping[str, Estimate]
Reading = Callable[[Target, Estimates, bool], Record]


def say_readings(subject: Subject, estimates: Estimates, quiet: bool, units: str = "nats") -> Record:
    """Print them, and return what they are as JSON, by name; nothing where log p(x) says it all.

    Args:
        subject: the programs, pinned to the data of the estimates.
        estimates: of log p(x), by what they are called.
        quiet: print nothing.
        units: `"bits"` for bits per dimension, too.
    """
    target = subject.target
    bits = say_bits(subject, estimates, quiet) if units == "bits" else {}
    of_kind = OF_KIND[subject.kind](target, estimates, quiet) if subject.kind in OF_KIND else {}
    record = bits | of_kind
    for method, reading in OF_GUIDE.items():
        if hasattr(target.guide, method):
            record |= reading(target, estimates, quiet)
    return record


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


@torch.no_grad()
def _at_nearest_codes(target: Target, estimates: Estimates, quiet: bool) -> Record:
    """log p(x, k*), which is below log p(x) by −log p(k*|x), and how the codes are used."""
    model, guide, x = cast(Any, target.model), cast(Any, target.guide), target.args[0]
    codes = guide.nearest(x)
    bound = model.log_joint(x, codes).double().cpu()
    record: Record = {"nearest_code": {"bound": "lower", "log_joint": bound.tolist()}}
    said = f"At the nearest codes: log p(x, k*) {mean_with_interval(bound, torch.zeros_like(bound))}, a lower bound"
    if "exact" in estimates:
        exact = estimates["exact"]
        room = exact.value.double().cpu() - bound
        said += f"; −log p(k*|x), what it is below log p(x): {mean_with_interval(room, exact.stderr)}"
        record["nearest_code"]["shortfall"] = room.tolist()
    usage = code_usage(codes, model.num_codes)
    say(f"{said}.\n{usage}", quiet)
    record["code_usage"] = {
        "usage": usage.usage.tolist(),
        "perplexity": usage.perplexity.tolist(),
        "perplexity_stderr": usage.perplexity_stderr.tolist(),
        "dead": usage.dead,
    }
    return record


def say_bits(subject: Subject, estimates: Estimates, quiet: bool, chosen: Sequence[int] | None = None) -> Record:
    """Print log p(x) in bits per dimension of the numbers that the file holds, and return it as JSON.

    Args:
        subject: whose data they are of.
        estimates: of log p(x), by what they are called.
        quiet: print nothing.
        chosen: the data of the estimates, if those were chosen and are no sample: each is printed, and no mean.
    """
    data, record = subject.dataset, {}
    unit = unit_of(subject.target, data.unit, data.dequantize != "none")
    for name, estimate in estimates.items():
        try:
            found = bits_per_dimension(estimate, unit.num_values, scale=unit.scale, dequantized=unit.dequantized)
        except ValueError as reason:
            say(f"{name}: no bits per dimension: {reason}.", quiet)
            continue
        if chosen is None:
            say(f"{name}: {found}", quiet)
        else:
            values = ", ".join(f"{b}: {plain(float(v), 4)}" for b, v in zip(chosen, found.value, strict=True))
            say(f"{name}: bits per dimension of datum {values}; {found.bound_told}, of {unit.says}.", quiet)
        mean, stderr = found.mean()
        record[name] = {
            "mean": mean, "stderr": stderr, "spread": found.spread(), "bound": found.bound, "of": unit.says,
            "data": found.value.tolist(),
        }  # fmt: skip
    return {"bits_per_dimension": record}


OF_KIND: Mapping[str, Reading] = {"bag": _perplexities}
"""Kind of data -> what is read off estimates of their log p(x)."""

OF_GUIDE: Mapping[str, Reading] = {"nearest": _at_nearest_codes}
"""A method of a guide -> what it is asked."""
