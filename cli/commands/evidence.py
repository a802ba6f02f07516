"""`elbowroom evidence`: log p(x) of held-out data from a trained run, one's own programs or plain networks."""

import time
from typing import Any

from elbowroom.commands.bracket import run_bracket
from elbowroom.commands.density_answers import density_evidence
from elbowroom.commands.density_runs import open_density
from elbowroom.commands.options import EvidenceOptions
from elbowroom.commands.output import finish, named, say
from elbowroom.commands.readings import say_readings
from elbowroom.commands.subject import Subject, is_run, say_notes, say_subject, subject_of
from elbowroom.densities import HeldOut
from elbowroom.inference import Bracket, Estimate, Target, importance, quadrature
from elbowroom.inference.estimate import with_contradictions
from elbowroom.inference.evaluation.coordinates import Coordinates, why_no_coordinates
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.evidence.quadrature.quadrature import MAX_DIM, QuadratureInfo
from elbowroom.report import bounds_table


def run(
    options: EvidenceOptions,
) -> tuple[Estimate[ImportanceInfo], Estimate[QuadratureInfo] | None] | Bracket | HeldOut:
    """Estimate log p(x) of every datum of a split, and print the means with what they bound."""
    if is_run(options) and (fitted := open_density(options.run, options.device, options.data.dir)) is not None:
        return density_evidence(fitted, options)
    subject = subject_of(options)
    say_subject(subject, options.json)
    say_notes(subject, options.json)
    by = run_bracket if options.method == "bracket" else _run_importance
    return by(subject, options)


def _run_importance(
    subject: Subject, options: EvidenceOptions
) -> tuple[Estimate[ImportanceInfo], Estimate[QuadratureInfo] | None]:
    target, budget = subject.target, options.memory_mib * 2**20
    summed = target.collapsed(needed=False)
    exactly = options.exact == "yes" or (options.exact == "auto" and _is_small(summed))
    begin = time.perf_counter()
    sampled = importance(
        target,
        num_samples=options.num_samples,
        seed=options.seed,
        num_particles=[k for k in options.num_particles if k <= options.num_samples],
        memory_bytes=budget,
        progress=not options.json,
        search=False if exactly else None,  # the exact value knows all modes
    )
    seconds = {"importance": time.perf_counter() - begin}
    exact = None
    if exactly:
        begin = time.perf_counter()
        exact = quadrature(target, memory_bytes=budget, progress=not options.json)
        seconds["quadrature"] = time.perf_counter() - begin
        checked = with_contradictions({"importance": sampled, "exact": exact})
        sampled, exact = checked["importance"], checked["exact"]
    say(bounds_table(sampled, exact), options.json)
    readings = say_readings(subject, _best(sampled, exact), options.json, options.units)
    where = subject.folder(options.output, "evidence") / "evidence.json"
    finish(record(subject, sampled, exact, seconds, options) | readings, where, options.json)
    say(f"Per-datum values: {named(where)}", options.json)
    return sampled, exact


def _best(sampled: Estimate[ImportanceInfo], exact: Estimate[QuadratureInfo] | None) -> dict[str, Estimate]:
    """The ELBO, in which others report, and the best answer."""
    elbo = Estimate(sampled.info["elbo"], sampled.info["elbo_stderr"], "lower", unnormalised=sampled.unnormalised)
    return {"elbo": elbo} | ({"importance": sampled} if exact is None else {"exact": exact})


def _is_small(target: Target) -> bool:
    """Whether a lattice reaches the latents."""
    return not why_no_coordinates(target, gradients=False) and Coordinates.of(target, gradients=False).dim <= MAX_DIM


def record(
    subject: Subject,
    sampled: Estimate[ImportanceInfo],
    exact: Estimate[QuadratureInfo] | None,
    seconds: dict[str, float],
    options: EvidenceOptions,
) -> dict[str, Any]:
    """Every datum's numbers, in nats, as JSON."""
    records = []
    for b in range(len(subject.target)):
        numbers: dict[str, Any] = {
            "datum": b,
            "elbo": sampled.info["elbo"][b].item(),
            "elbo_stderr": sampled.info["elbo_stderr"][b].item(),
            **{f"iwae_{k}": v[b].item() for k, v in sampled.info["iwae"].items()},
            "importance": sampled.value[b].item(),
            "importance_stderr": sampled.stderr[b].item(),
            "ess": sampled.info["ess"][b].item(),
            "pareto_k": sampled.info["pareto_k"][b].item(),
            "min_ss": sampled.info["min_ss"][b].item(),
            "convergence_rate": sampled.info["convergence_rate"][b].item(),
            "flag": sampled.flags[b],
            "unnormalised": sampled.unnormalised[b],
        }
        if exact is not None:
            numbers |= {
                "exact": exact.value[b].item(),
                "exact_error": exact.stderr[b].item(),
                "exact_flag": exact.flags[b],
            }
            if exact.info["latents"]:  # else there is no q
                numbers |= {
                    "kl_q_p": exact.info["kl_q_p"][b].item(),
                    "kl_p_q": exact.info["kl_p_q"][b].item(),
                    "num_modes": int(exact.info["num_modes"][b]),
                }
        records.append(numbers)
    return {
        "units": "nats per datum",
        "split": subject.part,
        "num_samples": options.num_samples,
        "seed": options.seed,
        "seconds": seconds,
        "bounds": {"elbo": "lower", "iwae": "lower", "importance": "lower", "exact": "exact"},
        "data": records,
        **subject.record,
    }
