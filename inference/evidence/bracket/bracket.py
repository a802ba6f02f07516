"""One call for log p(x): the estimators combined within a budget of seconds or evaluations."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evaluation.clock import Budget, Clock, read_budget
from elbowroom.inference.evaluation.coordinates import why_no_coordinates
from elbowroom.inference.evidence.bracket.forecast import Forecast
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.pace import UNSURE, Pace
from elbowroom.inference.evidence.bracket.result import Bracket, read
from elbowroom.inference.evidence.bracket.stages import ADAPTED, STAGES, stages_of
from elbowroom.inference.evidence.bracket.weighed_stage import WEIGHED
from elbowroom.inference.evidence.bracket.work import Work
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.programs.refusals import counted
from elbowroom.inference.progress import Bar, progress_bar
from elbowroom.inference.saving.one_writer import only_writer
from elbowroom.inference.saving.state_file import fingerprint_of
from elbowroom.inference.target import Target

_BLOCK = {"importance": 1024, "quadrature": 256, **dict.fromkeys(WEIGHED, 128), "chains": 128}  # data at once at most
_TRIED = 8  # data that a stage is tried on first: what it costs depends on the posteriors
_MAX_EFFORT = 3
_ANSWERED = {"importance again": ADAPTED[1], **{name: kind.columns[1] for name, kind in WEIGHED.items()}}
"""What shows that a datum does not need a stage."""
_CHAINS_SHARE = 2 / 3  # of what is left: weights and annealing come after them
_FEWEST = 1.5  # an eighth of the draws of importance sampling
_EFFORTS = [-_FEWEST + step / 32 for step in range(177)]  # of importance sampling, up to 256 times as many draws
_LITTLE = 0.1  # share of a budget that may be left
_CAREFUL, _LAST = 0.8, 0.95  # shares of what is left that are spent in one go, and on the last draws


@checked
@asked_again
def bracket(
    target: Target,
    *,
    budget: Budget = 60.0,
    seed: int = 0,
    tolerance: float = 0.1,
    state: str | Path | None = None,
    draws: Draws | None = None,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Bracket:
    """Bracket log p(x_b) between a lower and an upper value, for every datum, within a budget.

    Every datum begins with importance sampling from the guide. Up to two latents are then integrated on a lattice. For
    three to sixteen a mixture is fitted to weighed draws of the guide and to particles that were tempered from the
    prior, and weighed afresh from both sides, with as many draws as settle it. For more a Gaussian is fitted to each
    datum from the guide's output on, widened, and weighed in the same way; particles that came from the prior, each its
    own way, must end where it reaches, else the datum is flagged and goes on. Those that this cannot settle get chains
    (from the guide, and from modes found by particles that never see it, tempered from the prior), a mixture fitted to
    them and weighed from both sides, a bridge as a third opinion, and where that is not enough annealing in both
    directions. A datum is settled, and costs nothing more, when both sides are free of flags, the methods agree, and
    the 95 % interval around both is at most `tolerance` wide; what is left of the budget goes to the others, four times
    the effort each round. Values are chosen by a fixed order of trust; one that lies below any lower bound beyond
    chance is passed over.

    What does not fit is run on fewer data or with fewer draws. The clock is asked before every evaluation, so that work
    whose cost was misjudged stops in its midst; chains that stop there keep the draws that they have made, and are
    judged by these. Where there was no room for chains, the flag says what they take.

    The lower values are lower bounds in expectation. The upper ones are upper bounds in expectation for the proposal
    that was fitted, and an upper *estimate* for annealing back from chains. Both sides know the modes that were found:
    a mode that neither guide, chains, particles nor the search from the prior met is missing from both. How good that
    search was is told by the column `"expedition"` of the ledger, an estimate of log p(x) of its own, and by a note
    where it had few effective points.

    Args:
        target: programs and data.
        budget: seconds of wall time, kept but for what is done between two evaluations (a first estimate of each
            datum is made in any case); or evaluations of the programs, all data together, as in
            `"2e5 evaluations"`: two such calls with the same arguments give the same numbers to the bit, whatever the
            load, and with a state file, too, if that was the same (see `Evaluations`).
        seed: of everything random.
        tolerance: width of a settled 95 % interval, nats.
        state: a file that keeps the ledger after each block of data; a later call with the same target, seed and
            file goes on from there with a fresh budget, of either kind.
        draws: posterior draws of the same data, if there are any: they serve in place of its own first chains, and the
            first round is made of all data whatever the budget says.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar of settled data.

    Returns:
        Bracket; `print(result.table())`.

    Raises:
        ValueError: on draws of other data, an improper prior (the evidence does not exist), a number out of range, or a
            budget too small to answer at all (the message says what would do).
        StateError: if `state` belongs to another problem or is damaged; it is left as it is.
        InUseError: another call, or another process, goes on from `state` at the same time.
    """
    target, read_as = target.collapsed(), read_budget(budget)
    target.check_proper()
    check_same_data(target, draws=draws)
    clock = Clock(read_as)
    fingerprint, path = fingerprint_of(target, seed), None if state is None else Path(state)
    with only_writer(path, "state", folder=False):
        ledger = Ledger.read(path, fingerprint) if path is not None and path.exists() else Ledger.empty(len(target))
        pace = Pace(clock, Forecast.of(target, clock.counts))
        work = Work(target, ledger, seed, tolerance, memory_bytes, pace, draws)

        def keep() -> None:
            if path is not None:
                ledger.write(path, fingerprint)

        return continued(work, keep, progress)


def continued(
    work: Work, keep: Callable[[], None], progress: bool = False, only: tuple[str, ...] | None = None
) -> Bracket:
    """`bracket` from a ledger that may hold answers already, by all its stages or by some only.

    Args:
        work: what every stage needs.
        keep: called after each block of data.
        progress: show a progress bar of settled data.
        only: stages that are run, once each; by default all, and then more of the last one.

    Raises:
        ValueError: on a budget too small to answer at all.
    """
    target, ledger, pace = work.target, work.ledger, work.pace
    stages = [name for name in stages_of(target) if name not in WEIGHED or work.draws is None]  # chains come first
    _check_first(pace, stages, int((~ledger.has("importance")).sum()), len(target))
    with progress_bar(len(target), "bracket", "datum", progress) as bar:
        run = _Run(work, bar, keep, work.is_settled(torch.arange(len(target))))
        for name, effort in _agenda(stages) if only is None else [(name, 0) for name in only if name in stages]:
            run.stage(name, effort)
        if only is None:
            run.last_importance()
    forecast, unit = expected(pace, stages, len(target)), pace.clock.unit
    found = read(ledger, work.tolerance, forecast, unit, target.unnormalised, why_no_coordinates(target))
    return replace(found, notes=tuple(told(target, note) for note in found.notes))


def told(target: Target, note: str) -> str:
    """A note, with what was summed out of both programs, and the globals that all numbers are given."""
    notes = [note] if note else []
    if sites := target.structure.collapsed:
        notes.append(f"the discrete sites {list(sites)}, which the guide draws, were summed out of model and guide")
    if given := target.structure.given:
        notes.append(f"this is log p(x | {', '.join(given)}), given the fixed value of {list(given)}")
    return "; ".join(notes)


def _agenda(stages: list[str]) -> list[tuple[str, int]]:
    """Every stage once, then the last one with growing effort."""
    return [(name, 0) for name in stages] + [(stages[-1], effort) for effort in range(1, _MAX_EFFORT + 1)]


@dataclass(frozen=True)
class _Run:
    """Runs stages on the data that still need them, in blocks for which the budget has room."""

    work: Work
    bar: Bar
    keep: Callable[[], None]
    settled: Tensor  # which data are, `[B]`: a block changes its own data alone
    reached: dict[str, float] = field(default_factory=dict)  # stage -> the largest effort that it was run with here

    def stage(self, name: str, effort: int) -> None:
        """Run a stage for as long as there are data that need it and room for them."""
        shorter = -float("inf")  # the largest effort below this one that was tried
        while True:
            data = self._todo(name, effort)
            if not len(data):
                return
            size, within = _room(self.work, name, effort, len(data))
            if not size or (within < effort and within <= shorter):
                return
            if not self._block(name, data[:size], within):
                return
            shorter = max(shorter, within if within < effort else shorter)

    def last_importance(self) -> None:
        """No chains can be had for some data: spend what is left on more draws of the guide for them."""
        data = self._todo("importance again", 0)
        pace = self.work.pace
        if len(data) and pace.clock.left > _LITTLE * pace.clock.budget:
            room = (1.0 if pace.clock.counts else _LAST) * pace.clock.left
            most = self.reached.get("importance", 0.0)  # fewer draws would take the place of more
            more = [effort for effort in _EFFORTS if effort > most]
            fitting = [effort for effort in more if pace.cost("importance", len(data), effort) <= room]
            if fitting:
                self._block("importance", data, fitting[-1])

    def _todo(self, name: str, effort: int) -> Tensor:
        """The data that a stage has not answered with this effort and that are not settled."""
        work = self.work
        self.bar.reach(int(self.settled.sum()))
        done = work.ledger.effort >= effort if name == "chains" else work.ledger.has(_ANSWERED.get(name, name))
        return (~done & ~self.settled).nonzero().flatten()

    def _block(self, name: str, data: Tensor, effort: float) -> bool:
        """Answer some data and keep what was found; whether there was room for all of it."""
        work, begin, finished = self.work, time.perf_counter(), False
        with work.pace.clock.forgiving(), counted() as refused:
            STAGES[name](work, data, effort)
            finished = True
        self.settled[data] = work.is_settled(data)
        self.reached[name] = max(effort, self.reached.get(name, effort))
        if name == "chains" and finished:
            work.ledger.effort[data] = math.ceil(effort)
        work.ledger.refused += refused.of(work.target)
        work.ledger.seconds += time.perf_counter() - begin
        self.keep()
        return finished


def _room(work: Work, name: str, effort: int, most: int) -> tuple[int, float]:
    """How many data the next block of a stage takes, and with which effort; no data if there is no room for any."""
    pace, sliceable = work.pace, work.target.sliceable
    size = most = min(most, _BLOCK[name]) if sliceable else most
    if name == "chains" and effort == 0 and work.draws is not None:
        return size, effort  # promised
    share = {"chains": _CHAINS_SHARE, "quadrature": _CAREFUL}.get(name, 1.0)
    size = pace.affordable(name, effort, most, share) or pace.affordable(name, effort, most)
    if sliceable and not pace.has_run(name) and _is_risky(pace, name, size, most):
        size = min(size, _TRIED)
    if size and (sliceable or size == most):
        return size, effort
    if name == "quadrature":
        return (0, effort) if pace.cost(name, 1 if sliceable else most) > UNSURE * pace.clock.left else (1, effort)
    if name in WEIGHED:  # all of it, or nothing
        return 0, effort
    least = most if name == "importance" or not sliceable else 1
    within = pace.effort_within(name, least, effort)
    if name == "importance":  # promised, too
        return most, -_FEWEST if within is None else max(within, -_FEWEST)
    if within is None:
        return 0, effort
    return max(least, pace.affordable(name, within, most, share)) if sliceable else most, within


def _is_risky(pace: Pace, name: str, size: int, most: int) -> bool:
    """Whether a stage that has not run is tried on a few data first: a lattice unless it is small, chains where not all
    of the data would fit if they cost more than their forecast."""
    if name == "quadrature":
        return not pace.is_small(name, most)
    return name == "chains" and size < most


def expected(pace: Pace, stages: list[str], num_data: int) -> dict[str, float]:
    """What the first round of each stage takes of all data, as far as is known, in the budget's unit."""
    whole = {name: divmod(num_data, _BLOCK[name]) for name in stages}
    return {
        name: blocks * pace.cost(name, _BLOCK[name]) + (pace.cost(name, rest) if rest else 0.0)
        for name, (blocks, rest) in whole.items()
    }


def _check_first(pace: Pace, stages: list[str], missing: int, num_data: int) -> None:
    """Refuse a budget that has no room for the fewest draws of the guide that say anything.

    Raises:
        ValueError: saying what a first estimate, and all stages, take.
    """
    clock = pace.clock
    if missing and pace.cost("importance", missing, -_FEWEST) > clock.budget:
        total = sum(expected(pace, stages, num_data).values())
        raise ValueError(
            f"budget={clock.says(clock.budget)} is too small to answer: a first estimate of {missing} data takes about "
            f"{clock.says(pace.cost('importance', missing))}, all stages about {clock.says(total)}. Give more, or "
            "fewer data (target.select)"
        )
