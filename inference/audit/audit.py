"""One call, one budget: how much room, where from, what next, and what q may be used for."""

import math
import time
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.audit.about import about_target
from elbowroom.inference.audit.brackets import Brackets
from elbowroom.inference.audit.costs import CALIBRATION, EXAMINATION, SEARCH, USE, NoRoom, pace_of
from elbowroom.inference.audit.examination import Examination, Examiner, queue_of
from elbowroom.inference.audit.known import known_of_all
from elbowroom.inference.audit.numbers import numbers_of
from elbowroom.inference.audit.parts import Parts
from elbowroom.inference.audit.result import Audit
from elbowroom.inference.audit.verdict.brief import brief_of
from elbowroom.inference.audit.verdict.verdict import findings_of
from elbowroom.inference.audit.verdict.wording import plural
from elbowroom.inference.audit.work import Work
from elbowroom.inference.diagnostics.baselines import independent_entries, num_values
from elbowroom.inference.diagnostics.calibration import Calibration, calibrate
from elbowroom.inference.diagnostics.calibration.calibrate import MIN_SIMULATIONS
from elbowroom.inference.diagnostics.changed_data import better_read
from elbowroom.inference.diagnostics.latent_use import LatentUse, latent_use, silence
from elbowroom.inference.diagnostics.own_loss import OwnLoss, read_own_loss
from elbowroom.inference.diagnostics.respread import respread
from elbowroom.inference.estimate import Estimate, with_contradictions
from elbowroom.inference.evaluation.clock import Budget, Clock
from elbowroom.inference.evaluation.coordinates import why_no_coordinates
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.importance.importance import ImportanceInfo, check_evidence, importance
from elbowroom.inference.evidence.second_opinion import is_sent
from elbowroom.inference.gap.exploded_outputs import exploded
from elbowroom.inference.programs.arguments import PerDatum
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.saving.one_writer import only_writer
from elbowroom.inference.saving.state_file import fingerprint_of
from elbowroom.inference.target import Target

NUM_SAMPLES = 1000
"""Importance samples of every datum."""

LEVEL = 0.001
"""Level of each of the three kinds of calibration tests: a sound guide is accused in one audit of three hundred."""

LEAST_DATA = 8
"""Data without which nothing is said of the latents."""

_SMALL_SHARE = 0.2  # of what is left, for each of the latents and the calibration
_SEARCH_SHARE = 0.6  # of what is left, for three times the forecast of a search
_FEWEST = 125  # importance samples of every datum, where there is no room for more


@checked
def audit(
    model: Program,
    guide: Program,
    *args: Any,
    budget: Budget = 120.0,
    plate: str | None = "data",
    per_datum: PerDatum = None,
    seed: int = 0,
    tolerance: float = 0.1,
    num_simulations: int = 300,
    own_loss: float | None = None,
    state: str | Path | None = None,
    evidence: Estimate | None = None,
    memory_bytes: int | None = None,
    progress: bool = False,
    **kwargs: Any,
) -> Audit:
    """Answer for a model and a guide: may this variational posterior be trusted, how much room is there, and why?

    Every datum gets importance sampling, and for up to two latents a bracket of log p(x). Data with the largest room,
    then a random sample for as long as the time lasts, get Markov chains, a bracket from them, a comparison of q with
    them, and a decomposition of their room. The guide is calibrated on simulated data sets, and its use of the latents
    described. The verdict's sentences rest on `numbers`.

    Args:
        model, guide, *args, **kwargs: as of `Target`: two Pyro programs and their arguments, data first.
        budget: seconds of wall time for everything, kept but for what is done between two evaluations; or
            evaluations, as in `"1e7 evaluations"`, by which two calls give the same numbers (see `bracket`). What there
            is no room for is done on fewer data, simulations or draws, or left out: `skipped` says what it would take.
            What is left over at the end goes to brackets of the data that were not examined. Importance sampling of
            each datum is made in any case, with an eighth of its draws if need be.
        plate, per_datum: as of `Target`.
        seed: of everything random.
        tolerance: width in nats at which a datum's bracket is settled.
        num_simulations: data sets that the guide is calibrated on.
        own_loss: the loss that training printed, per datum or per value of one: it is compared with minus the ELBO, and
            a difference explained by the usual factors where one fits. Where none does, that is said first.
        state: a directory that keeps every finished part; a later call with the same programs, data and seed goes on
            from there with a fresh budget.
        evidence: importance sampling of all these data, if it was done before: as `importance(target)` returns, or
            `read_shards(file).of(target)`. It takes the place of the audit's own, and none of the budget.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show progress bars.

    Returns:
        Audit; `print(result.verdict)`, `result.table()`, `result.save(directory)`.

    Raises:
        ProgramError: the pair cannot be evaluated datum by datum.
        ValueError: on a number out of range, or an improper prior.
        StateError: if `state` belongs to another problem or is damaged.
        InUseError: another call, or another process, goes on from `state` at the same time.
    """
    target = Target(model, guide, *args, plate=plate, per_datum=per_datum, **kwargs)
    return audit_target(
        target,
        budget=budget,
        seed=seed,
        tolerance=tolerance,
        num_simulations=num_simulations,
        own_loss=own_loss,
        state=state,
        evidence=evidence,
        memory_bytes=memory_bytes,
        progress=progress,
    )


@checked
def audit_target(
    target: Target,
    *,
    budget: Budget = 120.0,
    seed: int = 0,
    tolerance: float = 0.1,
    num_simulations: int = 300,
    own_loss: float | None = None,
    state: str | Path | None = None,
    evidence: Estimate | None = None,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Audit:
    """`audit` of programs that are pinned to their data already."""
    if evidence is not None:
        check_evidence(evidence, len(target))
    target, clock = target.collapsed(), Clock(budget)
    target.check_proper()
    begin = time.perf_counter()
    where = None if state is None else Path(state)
    with only_writer(where, "state", folder=True):
        pace = pace_of(target, clock)
        work = Work(target, where, fingerprint_of(target, seed), pace)
        options: dict[str, Any] = {"seed": seed, "memory_bytes": memory_bytes}
        parts = _parts(work, tolerance, num_simulations, own_loss, progress, options, evidence)
    return _assembled(work, parts, seed, budget, begin)


def _parts(
    work: Work,
    tolerance: float,
    num_simulations: int,
    own_loss: float | None,
    progress: bool,
    options: dict[str, Any],
    evidence: Estimate | None,
) -> Parts:
    """All that the verdict rests on, as far as the budget reaches."""
    target, pace, seed, memory_bytes = work.target, work.pace, options["seed"], options["memory_bytes"]
    sampled: Estimate[ImportanceInfo] = evidence or work.part("importance", lambda: _sampled(work, options))
    unusable = _unusable(work, options)
    brackets = Brackets(work, sampled, tolerance, progress, options)
    log_p = brackets.first()
    share = 1.0 if log_p.from_below else _SMALL_SHARE  # nothing else will ask for room
    use = work.optional(USE, lambda: _latent_use(work, unusable, options, share))
    calibration = _calibration(work, num_simulations, options, share)
    examination = None
    if log_p.from_below:
        work.skipped[EXAMINATION] = log_p.from_below
    else:
        examiner = Examiner(target, log_p, seed, memory_bytes, work.state, work.fingerprint)
        num_worst = examiner.num_worst(pace)
        queue = queue_of(examiner.order(), log_p.lower.value - sampled.info["elbo"], num_worst)
        examination = work.guarded(EXAMINATION, lambda: examiner.examine(queue, num_worst, pace, progress))
    if USE in work.postponed:
        use = work.optional(USE, lambda: _latent_use(work, unusable, options, 1.0))
    if CALIBRATION in work.postponed:
        calibration = _calibration(work, num_simulations, options, 1.0)
    log_p = brackets.rest(log_p if examination is None else examination.bracket, examination)
    doubts = tuple(caution.reason for caution in target.structure.cautions)
    checked = _checked(sampled, log_p)
    known = known_of_all(log_p, checked, examination, unusable) if unusable else None
    notes = tuple(note for note in target.notes if note not in target.suspicions)
    usable = tuple(b for b in range(len(target)) if not (unusable and unusable[b] and target.sliceable))
    sound = target if len(usable) == len(target) else target.select(usable) if usable else None
    beside: dict[str, Any] = {
        "notes": notes,
        "suspicions": target.suspicions,
        "baseline": None if sound is None else independent_entries(sound),
        "usable": usable,
        "silence": None if sound is None else work.guarded("what q says", lambda: silence(sound, seed)),
        "respread": work.guarded("spread of q", lambda: respread(target, seed)),
        "better_read": work.guarded("changed data", lambda: better_read(target, seed)),
        "own_loss": None if own_loss is None else _own_loss(work, own_loss, options),
        "cautions": doubts,
    }
    return Parts(len(target), checked, log_p, examination, calibration, use, known, **beside)


def _sampled(work: Work, options: dict[str, Any]) -> Estimate[ImportanceInfo]:
    """Importance sampling of every datum, by fewer draws and without a search where the budget has no room for them."""
    pace, num_data = work.pace, len(work.target)
    share = NUM_SAMPLES
    while share > _FEWEST and not pace.has_room("importance", num_data, math.log(share / NUM_SAMPLES, 4), 0.5):
        share //= 2
    search = is_sent(work.target, None) and pace.has_room(SEARCH, num_data, 0.0, _SEARCH_SHARE)
    if not search and is_sent(work.target, None):
        work.skipped[SEARCH] = str(NoRoom(pace, "it", pace.cost(SEARCH, num_data)))
    return importance(work.target, num_samples=max(share, _FEWEST), search=search, **options)


def _own_loss(work: Work, told: float, options: dict[str, Any]) -> OwnLoss | None:
    target = work.target
    found: OwnLoss | None = work.guarded(
        "own_loss", lambda: read_own_loss(target, told, num_values=num_values(target), **options)
    )
    return found


def _unusable(work: Work, options: dict[str, Any]) -> tuple[str, ...]:
    """For each datum why its encoder output is not usable, or an empty string; nothing where that was not found out."""
    if why_no_coordinates(work.target):  # discrete draws do not explode
        return ("",) * len(work.target)
    seed, memory_bytes = options["seed"], options["memory_bytes"]
    return work.guarded("encoder outputs", lambda: exploded(work.target, seed, memory_bytes)) or ()


def _calibration(work: Work, num_simulations: int, options: dict[str, Any], share: float) -> Calibration | None:
    """Calibration on as many simulated data sets as there is room for in a share of what is left."""
    pace, number = work.pace, num_simulations
    if not work.has(f"{CALIBRATION}-{number}"):
        while number > MIN_SIMULATIONS and not pace.has_room(CALIBRATION, number, 0.0, share):
            number = max(number // 2, MIN_SIMULATIONS)

    def run() -> Calibration:
        if not pace.has_room(CALIBRATION, number, 0.0, share):
            what = f"calibration on the fewest data sets that say anything, {MIN_SIMULATIONS},"
            raise NoRoom(pace, what, pace.cost(CALIBRATION, number))
        with pace.timed(CALIBRATION, number, 0.0, share * pace.clock.left):
            return calibrate(work.target, num_simulations=number, level=LEVEL, **options)

    found: Calibration | None = work.optional(CALIBRATION, run, f"{CALIBRATION}-{number}")
    return found


def _assembled(work: Work, parts: Parts, seed: int, budget: Budget, begin: float) -> Audit:
    """The result of all parts, with its numbers and sentences; `begin` is when the audit began."""
    examination, numbers = parts.examination, numbers_of(parts)
    findings = findings_of(parts, numbers, work.skipped)
    return Audit(
        num_data=parts.num_data,
        bracket=parts.bracket,
        decomposition=None if examination is None else examination.decomposition,
        agreement=None if examination is None else examination.agreement,
        chains=None if examination is None else examination.chains,
        calibration=parts.calibration,
        latent_use=parts.latent_use,
        portrait=None if examination is None else examination.portrait,
        rows={} if examination is None else _covered(examination),
        numbers=numbers,
        findings=findings,
        brief=brief_of(findings, numbers),
        cost=work.clock.cost,
        provenance=_provenance(work.target, seed, budget, time.perf_counter() - begin),
        x=_data(work.target),
        sampled=parts.sampled,
        skipped=work.skipped,
        about=about_target(work.target),
        target=work.target,
    )


def _checked(sampled: Estimate[ImportanceInfo], bracket: Bracket) -> Estimate[ImportanceInfo]:
    """Importance sampling, flagged where a bracket without a flag contradicts it."""
    sides = {
        f"the bracket's {side.bound} side": replace(side, flags=bracket.flags)
        for side in (bracket.lower, bracket.upper)
    }
    checked = with_contradictions({"importance": sampled, **sides})
    return checked["importance"]


def _covered(examination: Examination) -> dict[str, tuple[int, ...]]:
    """`Audit.rows`: part -> the data that it covers."""
    data = examination.data
    return {"decomposition": data, "agreement": data, "random": examination.representative}


def _latent_use(work: Work, unusable: tuple[str, ...], options: dict[str, Any], share: float) -> LatentUse:
    """Describe the latents on data whose encoder output is usable: one that is not would dominate every mean."""
    target, pace = work.target, work.pace
    if not pace.has_room(USE, len(target), 0.0, share):
        raise NoRoom(pace, "it", pace.cost(USE, len(target)))
    with pace.timed(USE, len(target), 0.0, share * pace.clock.left):
        sound = [b for b, reason in enumerate(unusable) if not reason]
        if len(sound) < LEAST_DATA:
            few = plural(len(sound), "usable datum says", "usable data say")
            raise ValueError(f"activity is a variance over data: {few} too little, give {LEAST_DATA}")
        return latent_use(target if len(sound) == len(target) else target.select(sound), **options)


def _provenance(target: Target, seed: int, budget: Budget, seconds: float) -> dict[str, Any]:
    return {
        "elbowroom": version("elbowroom"),
        "torch": version("torch"),
        "pyro-ppl": version("pyro-ppl"),
        "seed": seed,
        "budget": budget if isinstance(budget, float | int) else str(budget),
        "seconds": seconds,
        "num_data": len(target),
        "latents": ", ".join(f"{name} {list(shape)}" for name, shape in target.latents.items()),
        "dtype": str(target.dtype).removeprefix("torch."),
        "device": str(target.device),
        "threads": torch.get_num_threads(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _data(target: Target) -> Tensor | None:
    """The first per-datum argument, for pictures."""
    return target.data[0].detach().cpu() if target.data else None
