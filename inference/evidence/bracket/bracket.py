"""One call for log p(x): the estimators combined within a time budget."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evaluation.coordinates import why_no_coordinates
from elbowroom.inference.evidence.bracket.forecast import Forecast
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.result import Bracket, read
from elbowroom.inference.evidence.bracket.stages import STAGES, Work, stages_of
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.programs.refusals import counted
from elbowroom.inference.progress import Bar, progress_bar
from elbowroom.inference.saving.state_file import fingerprint_of
from elbowroom.inference.target import Target

_BLOCK = {"importance": 1024, "quadrature": 256, "chains": 128}  # data answered at once at most
_MAX_EFFORT = 3


def bracket(
    target: Target,
    *,
    budget: float = 60.0,
    seed: int = 0,
    tolerance: float = 0.1,
    state: str | Path | None = None,
    draws: Draws | None = None,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Bracket:
    """Bracket log p(x_b) between a lower and an upper value, for every datum, within a time budget.

    Every datum begins with importance sampling from the guide. Up to two latents are then integrated on a lattice. All
    others, and those that the lattice cannot settle, get Markov chains (from the guide, and from modes found by
    particles that never see it, tempered from the prior), a mixture fitted to them and weighed from both sides, a
    bridge as a third opinion, and where that is not enough annealing in both directions. A datum is settled, and costs
    nothing more, when both sides are free of flags, the methods agree, and the 95 % interval around both is at most
    `tolerance` wide; the time left goes to the others, four times the effort each round. Values are chosen by a fixed
    order of trust; one that lies below any lower bound beyond chance is passed over.

    The lower values are lower bounds in expectation. The upper ones are upper bounds in expectation for the proposal
    that was fitted, and an upper *estimate* for annealing back from chains. Both sides know the modes that were found:
    a mode that neither guide, chains nor the search from the prior met is missing from both. How good that search was
    is told by the column `"expedition"` of the ledger, an estimate of log p(x) of its own, and by a note where it had
    few effective points.

    Args:
        target: programs and data.
        budget: seconds of wall time; the last block of data may overrun it a little.
        seed: of everything random.
        tolerance: width of a settled 95 % interval, nats.
        state: a file that keeps the ledger after each block of data; a later call with the same target, seed and
            file goes on from there with a fresh budget.
        draws: posterior draws of the same data, if there are any: they serve in place of its own first chains, and the
            first round is made of all data whatever the budget says.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show a progress bar of settled data.

    Returns:
        Bracket; `print(result.table())`.

    Raises:
        ValueError: on draws of other data, an improper prior (the evidence does not exist), a budget that is not
            positive or too small to answer at all (the message says what would do), or a tolerance not positive.
        StateError: if `state` belongs to another problem or is damaged; it is left as it is.
    """
    target = target.collapsed()
    _check(target, budget, tolerance)
    check_same_data(target, draws=draws)
    forecast, fingerprint = Forecast.measure(target), fingerprint_of(target, seed)
    path = None if state is None else Path(state)
    ledger = Ledger.read(path, fingerprint) if path is not None and path.exists() else Ledger.empty(len(target))
    stages = stages_of(target)
    expected = {name: forecast.seconds(name, len(target), 0) for name in stages}
    clock = _Clock(budget, forecast)
    missing = int((~ledger.has("importance")).sum())
    needed = forecast.seconds("importance", missing, 0)
    if missing and needed > budget:
        raise ValueError(
            f"budget={budget:g} s is too small to answer: a first estimate of {missing} data takes about "
            f"{needed:.1f} s, all stages about {sum(expected.values()):.0f} s. Give more time, or fewer data "
            "(target.select)"
        )
    work = Work(target, ledger, seed, tolerance, memory_bytes, draws)
    with progress_bar(len(target), "bracket", "datum", progress) as bar:
        for name, effort in _agenda(stages):
            _run_stage(work, name, effort, clock, bar, path, fingerprint)
    found = read(ledger, tolerance, expected, target.unnormalised, why_no_coordinates(target))
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


def _run_stage(
    work: Work, name: str, effort: int, clock: "_Clock", bar: Bar, path: Path | None, fingerprint: dict[str, Any]
) -> None:
    """Run a stage on all data that still need it, in blocks that fit in the time left."""
    everything = torch.arange(len(work.target))
    while True:
        data = _todo(work, name, effort, everything)
        bar.reach(int(work.is_settled(everything).sum()))
        if not len(data):
            return
        size = clock.affordable(name, effort, min(len(data), _BLOCK[name]))
        if not work.target.sliceable:
            size = len(data) if size else 0
        promised = name == "importance" or (name == "chains" and effort == 0 and work.draws is not None)
        if promised and not size:
            size = min(len(data), _BLOCK[name])  # quickest in one block
        if not size:
            return
        begin = time.perf_counter()
        with counted() as refused:
            STAGES[name](work, data[:size], effort)
        work.ledger.refused += refused.of(work.target)
        seconds = time.perf_counter() - begin
        clock.learn(name, effort, size, seconds)
        if name == "chains":
            work.ledger.effort[data[:size]] = effort
        work.ledger.seconds += seconds
        if path is not None:
            work.ledger.write(path, fingerprint)


def _todo(work: Work, name: str, effort: int, everything: Tensor) -> Tensor:
    """The data that a stage has not answered with this effort and that are not settled."""
    done = work.ledger.effort >= effort if name == "chains" else work.ledger.has(name)
    if name != "chains" and effort > 0:
        done = torch.ones_like(done)
    return everything[~done & ~work.is_settled(everything)]


class _Clock:
    """The time left, and by how much the forecasts of each stage were wrong."""

    def __init__(self, budget: float, forecast: Forecast) -> None:
        self.end, self.forecast = time.perf_counter() + budget, forecast
        self.factor: dict[str, float] = {}

    def affordable(self, name: str, effort: int, most: int) -> int:
        """The largest number of data, up to `most`, whose stage should end in time; 0 if not even one."""
        left = self.end - time.perf_counter()
        factor = self.factor.get(name, 1.0)
        size = most
        while size and factor * self.forecast.seconds(name, size, effort) > left:
            size //= 2
        return size

    def learn(self, name: str, effort: int, size: int, seconds: float) -> None:
        """Correct later forecasts of a stage by how wrong this one was."""
        self.factor[name] = seconds / self.forecast.seconds(name, size, effort)


def _check(target: Target, budget: float, tolerance: float) -> None:
    for name, value in (("budget", budget), ("tolerance", tolerance)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")
    target.check_proper()
