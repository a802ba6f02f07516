"""The bounds of a whole data set, loosest first, as a table."""

from elbowroom.entrances import checked
from elbowroom.inference import Estimate
from elbowroom.inference.estimate import with_contradictions
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.showing.numbers import in_short
from elbowroom.report.records.bounds import Bound, bounds_of, num_flagged
from elbowroom.report.records.number_format import compact, significant, with_error
from elbowroom.report.tables.render import Part, Sheet, note, render, warning

_BOUNDS = {"lower": "lower bound", "upper": "upper bound", "exact": "exact", "none": "none"}


@checked
def bounds_table(
    sampled: Estimate[ImportanceInfo],
    exact: Estimate | None = None,
    *,
    width: int | None = None,
    color: bool | None = None,
) -> str:
    """Means over a data set in nats per datum: each bound, what it bounds, and the room above it.

    Args:
        sampled: from `importance`, with IWAE bounds if it was given `num_particles`.
        exact: from `quadrature` of the same data.
        width, color: see `render`.

    Raises:
        ValueError: if the two are not of the same number of data.
    """
    if exact is not None and len(exact) != len(sampled):
        raise ValueError(f"exact has {len(exact)} data and sampled has {len(sampled)}: give both for the same data")
    if exact is not None:
        checked = with_contradictions({"importance": sampled, "exact": exact})
        sampled, exact = checked["importance"], checked["exact"]
    return render(_parts(sampled, exact), width=width, color=color)


def _parts(sampled: Estimate[ImportanceInfo], exact: Estimate | None) -> list[Part]:
    bounds = bounds_of(sampled, exact)
    best = bounds[-1]
    columns = [("", "left"), ("mean ± error", "right"), ("over data", "right"), ("of log p(x)", "left")]
    columns += [("room above" if exact is not None else "room, at least", "right"), ("flagged", "right")]
    sheet = Sheet(f"log p(x) of {len(sampled)} data, nats per datum", columns)
    for bound in bounds:
        mean, error = bound.mean()
        spread = Estimate(bound.value, bound.stderr, "none").spread()
        sheet.add(
            bound.name,
            with_error(mean, error),
            f"± {significant(spread)}" if spread == spread else "–",
            _BOUNDS[bound.bound],
            "" if bound is best else _room(bound, best),
            f"{bound.num_flagged} of {len(sampled)}" if bound.num_flagged else "",
        )
    legend = (
        "Error: Monte Carlo or numerical, these data held fixed. Over data: standard error of the mean if the data "
        "are a sample of a population."
    )
    renamed = [warning(f"! {text}") for text in in_short(sampled.unnormalised)]
    return [*renamed, sheet, note(legend), *_warnings(sampled, exact)]


def _room(bound: Bound, best: Bound) -> str:
    """The mean of best − bound: nats per datum that the bound leaves."""
    value, error = Estimate(best.value - bound.value, (best.stderr**2 + bound.stderr**2).sqrt(), "none").mean()
    return compact(value, error, max_decimals=4)


def _warnings(sampled: Estimate[ImportanceInfo], exact: Estimate | None) -> list[Part]:
    warnings: list[Part] = []
    if num := num_flagged(sampled):
        reason = next(flag for flag in sampled.flags if flag)
        warnings.append(
            warning(f"! importance sampling is flagged for {num} of {len(sampled)} data; the first: {reason}")
        )
    if exact is not None and (num := num_flagged(exact)):
        reason = next(flag for flag in exact.flags if flag)
        warnings.append(warning(f"! quadrature is flagged for {num} of {len(exact)} data; the first: {reason}"))
    return warnings
