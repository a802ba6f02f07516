"""One call, one budget: how much room, where from, what next, and what q may be used for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.audit.clock import Clock
from elbowroom.inference.audit.examination import COST, Examination, Examiner, queue_of
from elbowroom.inference.audit.numbers import Parts, numbers_of
from elbowroom.inference.audit.result import Audit
from elbowroom.inference.audit.store import load_result, save_result
from elbowroom.inference.audit.verdict.verdict import findings_of
from elbowroom.inference.audit.verdict.wording import plural
from elbowroom.inference.diagnostics.calibration import calibrate
from elbowroom.inference.diagnostics.latent_use import LatentUse, latent_use
from elbowroom.inference.estimate import Estimate, with_contradictions
from elbowroom.inference.evaluation.coordinates import Coordinates, why_no_coordinates
from elbowroom.inference.evidence.bracket import Bracket, bracket
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.inference.evidence.importance.importance import ImportanceInfo, importance
from elbowroom.inference.evidence.quadrature.quadrature import MAX_LATTICE_DIM
from elbowroom.inference.gap.exploded_outputs import exploded
from elbowroom.inference.programs.arguments import PerDatum
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.saving.state_file import StateError, fingerprint_of
from elbowroom.inference.target import Target

NUM_SAMPLES = 1000
"""Importance samples of every datum."""

NUM_WORST = 8
"""Data examined first because their room is the largest."""

LEVEL = 0.001
"""Level of each of the three kinds of calibration tests: a sound guide is accused in one audit of three hundred."""

LEAST_DATA = 8
"""Data without which nothing is said of the latents."""

_BRACKET_SHARE = 0.35  # of the time left


def audit(
    model: Program,
    guide: Program,
    *args: Any,
    budget: float = 120.0,
    plate: str | None = "data",
    per_datum: PerDatum = None,
    seed: int = 0,
    tolerance: float = 0.1,
    num_simulations: int = 300,
    state: str | Path | None = None,
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
        budget: seconds of wall time for brackets and examination; importance sampling, calibration and what is said of
            the latents take what they need, and a first small block of data is examined in any case.
        plate, per_datum: as of `Target`.
        seed: of everything random.
        tolerance: width in nats at which a datum's bracket is settled.
        num_simulations: data sets that the guide is calibrated on.
        state: a directory that keeps every finished part; a later call with the same programs, data and seed goes on
            from there with a fresh budget.
        memory_bytes: byte budget for one evaluation (default 256 MiB).
        progress: show progress bars.

    Returns:
        Audit; `print(result.verdict)`, `result.table()`, `result.save(directory)`.

    Raises:
        ProgramError: the pair cannot be evaluated datum by datum.
        ValueError: on a budget that is not positive (for up to two latents: too small to answer at all), or an improper
            prior.
        StateError: if `state` belongs to another problem or is damaged.
    """
    target = Target(model, guide, *args, plate=plate, per_datum=per_datum, **kwargs)
    return audit_target(
        target,
        budget=budget,
        seed=seed,
        tolerance=tolerance,
        num_simulations=num_simulations,
        state=state,
        memory_bytes=memory_bytes,
        progress=progress,
    )


def audit_target(
    target: Target,
    *,
    budget: float = 120.0,
    seed: int = 0,
    tolerance: float = 0.1,
    num_simulations: int = 300,
    state: str | Path | None = None,
    memory_bytes: int | None = None,
    progress: bool = False,
) -> Audit:
    """`audit` of programs that are pinned to their data already."""
    target = target.collapsed()
    if not budget > 0:
        raise ValueError(f"budget must be positive, got {budget}")
    target.check_proper()
    begin, clock = time.perf_counter(), Clock(budget)
    work = _Work(target, None if state is None else Path(state), fingerprint_of(target, seed), clock)
    options: dict[str, Any] = {"seed": seed, "memory_bytes": memory_bytes}
    sampled: Estimate[ImportanceInfo] = work.part(
        "importance", lambda: importance(target, num_samples=NUM_SAMPLES, **options)
    )
    log_p = _first_bracket(work, sampled, tolerance, progress, options)
    use = work.optional("use of the latents", lambda: _latent_use(target, options))
    calibration = work.optional(
        "calibration",
        lambda: calibrate(target, num_simulations=num_simulations, level=LEVEL, **options),
        f"calibration-{num_simulations}",
    )
    examination = None
    if log_p.from_below:
        work.skipped[COST] = log_p.from_below
    else:
        examiner = Examiner(target, log_p, seed, memory_bytes, work.state, work.fingerprint)
        room = log_p.lower.value - sampled.info["elbo"]
        queue = queue_of(examiner.order(), room, NUM_WORST)
        examination = work.guarded("examination", lambda: examiner.examine(queue, NUM_WORST, clock, progress))
    log_p = log_p if examination is None else examination.bracket
    doubts = tuple(caution.reason for caution in target.structure.cautions)
    parts = Parts(len(target), _checked(sampled, log_p), log_p, examination, calibration, use, target.notes, doubts)
    return _assembled(work, parts, seed, budget, begin)


def _assembled(work: "_Work", parts: Parts, seed: int, budget: float, begin: float) -> Audit:
    """The result of all parts, with its numbers and sentences; `begin` is when the audit began."""
    examination, numbers = parts.examination, numbers_of(parts)
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
        findings=findings_of(parts, numbers, work.skipped),
        cost=work.clock.cost,
        provenance=_provenance(work.target, seed, budget, time.perf_counter() - begin),
        x=_data(work.target),
        sampled=parts.sampled,
        skipped=work.skipped,
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


def _first_bracket(
    work: "_Work", sampled: Estimate, tolerance: float, progress: bool, options: dict[str, Any]
) -> Bracket:
    """The bracket of all data: by a lattice for few latents, else by importance sampling until chains have run."""
    target = work.target
    from_below = why_no_coordinates(target)
    if from_below or Coordinates.of(target).dim > MAX_LATTICE_DIM:
        ledger = Ledger.empty(len(target))
        ledger.put("importance", torch.arange(len(target)), sampled)
        return read(ledger, tolerance, {}, target.unnormalised, from_below)
    budget = max(work.clock.left * _BRACKET_SHARE, 1.0)
    log_p = bracket(
        target, budget=budget, tolerance=tolerance, state=work.path("bracket"), progress=progress, **options
    )
    work.clock.spend("bracket", log_p.seconds)
    return log_p


def _latent_use(target: Target, options: dict[str, Any]) -> LatentUse:
    """Describe the latents on data whose encoder output is usable: one that is not would dominate every mean."""
    sound = list(range(len(target)))
    if not why_no_coordinates(target):
        sound = [b for b, reason in enumerate(exploded(target, options["seed"], options["memory_bytes"])) if not reason]
    if len(sound) < LEAST_DATA:
        few = plural(len(sound), "usable datum says", "usable data say")
        raise ValueError(f"activity is a variance over data: {few} too little, give {LEAST_DATA}")
    return latent_use(target if len(sound) == len(target) else target.select(sound), **options)


@dataclass
class _Work:
    """Runs the parts of an audit and keeps each in a directory as soon as it is there."""

    target: Target
    state: Path | None
    fingerprint: dict[str, Any]
    clock: Clock

    def __post_init__(self) -> None:
        self.skipped: dict[str, str] = {}

    def path(self, name: str) -> Path | None:
        return None if self.state is None else self.state / f"{name.replace(' ', '-')}.safetensors"

    def part(self, name: str, run: Callable[[], Any], file: str | None = None) -> Any:
        """The part, read from its file (by default called after it), or run and written to it."""
        path = self.path(file or name)
        if path is not None and path.exists():
            result, seconds = load_result(path, name, self.fingerprint, self.target)
            self.clock.spend(name, seconds)
            return result
        begin = time.perf_counter()
        result = run()
        seconds = self.clock.charge(name, begin)
        if path is not None:
            save_result(path, name, self.fingerprint, (result, seconds))
        return result

    def optional(self, name: str, run: Callable[[], Any], file: str | None = None) -> Any:
        """The part, or None and the reason in `skipped` where these programs do not allow it."""
        return self.guarded(name, lambda: self.part(name, run, file))

    def guarded(self, name: str, run: Callable[[], Any]) -> Any:
        """What `run` returns, or None and the reason in `skipped`; for parts that write files of their own."""
        try:
            return run()
        except StateError:
            raise
        except (
            ValueError,
            NotImplementedError,
            torch.linalg.LinAlgError,
        ) as error:  # ProgramError and NotAReference among them
            self.skipped[name] = str(error)
            return None


def _provenance(target: Target, seed: int, budget: float, seconds: float) -> dict[str, Any]:
    return {
        "elbowroom": version("elbowroom"),
        "torch": version("torch"),
        "pyro-ppl": version("pyro-ppl"),
        "seed": seed,
        "budget": budget,
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
