"""The bounds of a whole data set, loosest first, as a table."""

from dataclasses import dataclass

from torch import Tensor

from elbowroom.inference import Estimate
from elbowroom.report.render import Part, Sheet, note, render, warning
from elbowroom.report.rounding import compact, significant, with_error

_BOUNDS = {"lower": "lower bound", "upper": "upper bound", "exact": "exact", "none": "none"}


@dataclass(frozen=True)
class Bound:
    """One estimate of log p(x) for each datum.

    Attributes:
        name: what it is called.
        value, stderr: `[B]`, nats; the error is Monte Carlo or numerical.
        bound: what it bounds in expectation.
        num_flagged: data for which it should not be trusted.
    """

    name: str
    value: Tensor
    stderr: Tensor
    bound: str
    num_flagged: int

    def mean(self) -> tuple[float, float]:
        """Mean over data and its error with the data held fixed, nats per datum."""
        return Estimate(self.value, self.stderr, "none").mean()


def bounds_of(sampled: Estimate, exact: Estimate | None = None) -> list[Bound]:
    """ELBO, IWAE-K for each K, importance sampling, and the exact value if there is one."""
    bounds = [Bound("ELBO", sampled.info["elbo"], sampled.info["elbo_stderr"], "lower", 0)]
    for size in sorted(sampled.info.get("iwae", {})):
        value, stderr = sampled.info["iwae"][size], sampled.info["iwae_stderr"][size]
        bounds.append(Bound(f"IWAE-{size}", value, stderr, "lower", 0))
    name = f"importance, S = {sampled.info['num_samples']}"
    bounds.append(Bound(name, sampled.value, sampled.stderr, sampled.bound, _count(sampled)))
    if exact is not None:
        bounds.append(Bound("quadrature", exact.value, exact.stderr, exact.bound, _count(exact)))
    return bounds


def bounds_table(
    sampled: Estimate, exact: Estimate | None = None, *, width: int | None = None, color: bool | None = None
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
    return render(_parts(sampled, exact), width=width, color=color)


def _parts(sampled: Estimate, exact: Estimate | None) -> list[Part]:
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
    return [sheet, note(legend), *_warnings(sampled, exact)]


def _room(bound: Bound, best: Bound) -> str:
    """The mean of best − bound: nats per datum that the bound leaves."""
    value, error = Estimate(best.value - bound.value, (best.stderr**2 + bound.stderr**2).sqrt(), "none").mean()
    return compact(value, error, max_decimals=4)


def _warnings(sampled: Estimate, exact: Estimate | None) -> list[Part]:
    told: list[Part] = []
    if num := _count(sampled):
        reason = next(flag for flag in sampled.flags if flag)
        told.append(warning(f"! importance sampling is flagged for {num} of {len(sampled)} data; the first: {reason}"))
    if exact is not None and (num := _count(exact)):
        reason = next(flag for flag in exact.flags if flag)
        told.append(warning(f"! quadrature is flagged for {num} of {len(exact)} data; the first: {reason}"))
    return told


def _count(estimate: Estimate) -> int:
    return sum(bool(flag) for flag in estimate.flags)
