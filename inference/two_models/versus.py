"""One call for "which model is better": log p(x) of both from both sides, datum by datum, within one budget."""

import math
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.clock import Budget, Clock
from elbowroom.inference.evidence.importance.importance import check_evidence
from elbowroom.inference.progress import progress_bar
from elbowroom.inference.saving.one_writer import only_writer
from elbowroom.inference.target import Target
from elbowroom.inference.two_models.contender import Contender
from elbowroom.inference.two_models.difference import difference
from elbowroom.inference.two_models.paired import LEVEL, Paired
from elbowroom.inference.two_models.plan import narrow, random_order, take_up, to_finish
from elbowroom.inference.two_models.result import Versus
from elbowroom.inference.two_models.same_data import check_comparable

_OTHER_SEED = 1_000_003  # added for the second model: its errors have nothing to do with the first one's


@checked
def versus(
    a: Target,
    b: Target,
    *,
    names: tuple[str, str] = ("a", "b"),
    budget: Budget = 60.0,
    about: Literal["new data", "these data"] = "new data",
    level: float = LEVEL,
    seed: int = 0,
    tolerance: float = 0.1,
    state: str | Path | None = None,
    evidence: tuple[Estimate, Estimate] | None = None,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Versus:
    """Which of two models gives these data the higher log p(x), and is that what their ELBOs say?

        d_b = log p_a(x_b) − log p_b(x_b)  in  [lower_a − upper_b, upper_a − lower_b]

    Data are taken up in random order for as long as the budget lasts, both models on each of them, by `bracket`; what
    is then left goes to data that are not settled, and to finer brackets where the distance of the sides is what keeps
    the answer open. A model is called better where the interval of the mean difference at `level` leaves out zero. That
    interval holds the spread over data, the errors of estimation, and the distance of the sides. If nothing is called
    better, the result says how many data more, or how much more time, would tell.

    Data that are not known from both sides are left out of the means, and told: how far the models would have to lie
    apart on these to overturn the answer. Where that is not far, nothing is called better.

    Args:
        a, b: two models, each with its guide, pinned to the same data in the same order.
        names: what they are called.
        budget: seconds for everything, or a text such as `"2e6 evaluations"`, as of `bracket`.
        about: whether the interval is for data drawn anew from the same source, or for these very data, as a Bayes
            factor is. Of one datum (`plate=None`) nothing else can be said.
        level: of the interval that has to leave out zero. Intervals that are shown have 95 %.
        seed: of everything random, the order of data among it.
        tolerance: width in nats at which a datum's bracket is settled at first.
        state: a directory that keeps what is known of each model; a later call with the same targets and seed goes on
            from there with a fresh budget.
        evidence: importance sampling of all these data by each of the models, if it was done before: as
            `importance(target)` returns, or `read_shards(file).of(target)`. The first estimates are then these.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar of data.

    Returns:
        Versus; `print(result)`, `result.better`, `result.log_p.interval()`.

    Raises:
        ValueError: where the two are no densities of the same data on the same scale; on names that are the same, or
            numbers out of range.
        StateError: if `state` belongs to another problem or is damaged.
        InUseError: another call, or another process, goes on from `state` at the same time.
    """
    _check(names, level, about)
    check_comparable(names, a, b)
    for given in evidence or ():
        check_evidence(given, len(a))
    clock, where = Clock(budget), None if state is None else Path(state)
    seeds = (seed, (seed + _OTHER_SEED) % 2**63)
    anew = about == "new data" and len(a) > 1
    with only_writer(where, "state", folder=True):
        contenders = [
            Contender(
                target, own, memory_bytes, None if where is None else where / f"{place}.safetensors", clock, known
            )
            for target, own, place, known in zip((a, b), seeds, "ab", evidence or (None, None), strict=True)
        ]
        with torch.no_grad(), progress_bar(len(a), "versus", "datum", progress) as bar:
            data, each = take_up(contenders, random_order(len(a), seed), tolerance, bar.reach)
            narrow(contenders, data, tolerance, lambda: _difference(contenders, data, anew))
    data = data.sort().values
    more = to_finish(contenders, data, tolerance, each * (len(a) - len(data)))
    one, other = contenders
    return Versus(
        names=names,
        data=data,
        num_data=len(a),
        brackets=(one.bracket(data, tolerance), other.bracket(data, tolerance)),
        elbos=(one.elbo(data), other.elbo(data)),
        anew=anew,
        level=level,
        more=more,
        unit=clock.unit,
        spent=clock.spent,
    )


def _difference(contenders: list[Contender], data: Tensor, anew: bool) -> tuple[Paired, Tensor]:
    """The difference of log p(x) as it is known now, and which data are not known from both sides."""
    return difference([c.bracket(data, math.inf) for c in contenders], len(contenders[0].target), anew)


def _check(names: tuple[str, str], level: float, about: str) -> None:
    if len(names) != 2 or names[0] == names[1] or not all(names):
        raise ValueError(f"names: got {names!r}, expected two different ones")
    if not 0.5 <= level < 1:
        raise ValueError(f"level: got {level}, expected the level of an interval, such as 0.999")
    if about not in ("new data", "these data"):
        raise ValueError(f"about: got {about!r}, expected 'new data' or 'these data'")
