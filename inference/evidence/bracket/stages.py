"""What a bracket runs: each stage answers some data and writes them into the ledger."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.coordinates import Coordinates, why_no_coordinates
from elbowroom.inference.evidence.annealing import anneal, anneal_reverse
from elbowroom.inference.evidence.bracket.accounted import account
from elbowroom.inference.evidence.bracket.choice import EARLIER, EXPEDITION
from elbowroom.inference.evidence.bracket.sizes import (
    GROWTH,
    MORE,
    NUM_ADAPTED,
    NUM_ANNEALED,
    NUM_CHAINS,
    NUM_DRAWS,
    NUM_LEAPFROG,
    NUM_PILOT,
    NUM_SAMPLES,
    NUM_STEPS,
    num_warmup,
)
from elbowroom.inference.evidence.bracket.weighed_stage import by_population, by_refined, kind_for
from elbowroom.inference.evidence.bracket.work import BLIND, Work, fitting, joined, no_value, weakly_seen
from elbowroom.inference.evidence.bridge.adapted import adapted_importance
from elbowroom.inference.evidence.bridge.bridge import bridge
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.evidence.quadrature.quadrature import MAX_LATTICE_DIM, quadrature
from elbowroom.inference.evidence.second_opinion import second_opinion
from elbowroom.inference.mcmc import hmc
from elbowroom.inference.mcmc.convergence import Gates
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.float_limits import at_limits
from elbowroom.inference.target import Target

ADAPTED = ("adapted importance", "adapted importance, upper")

MOST_POINTS = {0: 1, 1: 5_000, 2: 60_000}
"""Points of a lattice: ten times what hard posteriors need, few enough to give up soon on an improper one."""

MIXING = Gates(rhat=1.05, ess_per_chain=10.0, divergences=NUM_CHAINS * NUM_DRAWS // 100, ebfmi=0.1)
"""Chains here only teach a proposal and a reverse path: coarser gates than those of a reference."""


_DRAWING = 0.75
"""Chains that take more of what is left end there, with the draws that they have: they are nothing without weights."""

Stage = Callable[[Work, Tensor, float], None]
"""(work, which data `[b]`, effort 0, 1, …, or less where there is no room for that): answer these data.

Raises `Spent` where the budget ends; what was written down by then stands.
"""


def by_importance(work: Work, data: Tensor, effort: float) -> None:
    """Weigh draws of the guide: where everything begins."""
    num_samples = int(NUM_SAMPLES * GROWTH**effort)
    options: dict[str, Any] = {"seed": work.seed, "memory_bytes": work.memory_bytes}
    with work.pace.timed("importance", len(data), effort, math.inf):  # promised
        estimate = importance(work.part(data), num_samples=num_samples, search=False, **options)
    work.ledger.put("importance", data, estimate)  # without a search: chains are begun with one


def by_quadrature(work: Work, data: Tensor, effort: float) -> None:
    """Integrate on a lattice, where there are few latents; one that does not end is given up at twice what was seen."""
    part, pace = work.part(data), work.pace
    dim, left = Coordinates.of(part).dim, pace.clock.left
    usual = 2 * pace.cost("quadrature", len(data)) if pace.has_run("quadrature") else left / 2
    most = None if dim == 0 else min(left, usual)
    with pace.timed("quadrature", len(data), effort, most):
        found = quadrature(part, max_points=MOST_POINTS[dim], memory_bytes=work.memory_bytes)
    work.ledger.put("quadrature", data, found)


def by_chains(work: Work, data: Tensor, effort: float) -> None:
    """Run chains; weigh a proposal fitted to them from both sides; bridge; anneal both ways where that fails."""
    part, seed, pace = work.part(data), seed_of(work, effort), work.pace
    num_adapted = int(NUM_ADAPTED * GROWTH**effort)
    promised = effort == 0 and work.draws is not None
    with pace.timed("chains", len(data), effort, math.inf if promised else None):
        draws = _draws(work, part, data, effort)
        _look(work, data, draws)
        if effort > 0:
            work.ledger.remember(ADAPTED[0], EARLIER, data)
        _weigh(work, data, draws, num_adapted, seed)
        account(work, data, draws, ADAPTED[0])
        work.ledger.put("bridge", data, bridge(part, draws, num_exchanges=0, seed=seed, memory_bytes=work.memory_bytes))
    with pace.clock.forgiving():  # the round has its chains
        wide, within = fitting(work, "more weights", _promising(work, data), effort)
        if len(wide) and (more := int(NUM_ADAPTED * MORE * GROWTH**within)) > num_adapted:
            with pace.timed("more weights", len(wide), within):
                _weigh(work, data[wide], draws.select(wide.tolist()), more, seed)
        rest, within = fitting(work, "annealing", (~work.is_settled(data)).nonzero().flatten(), effort)
        if len(rest):
            with pace.timed("annealing", len(rest), within):
                _anneal(work, data[rest], draws.select(rest.tolist()), within)


def seed_of(work: Work, effort: float) -> int:
    """Each round has numbers of its own."""
    return work.seed + max(0, math.ceil(effort))


def _draws(work: Work, part: Target, data: Tensor, effort: float) -> Draws:
    """The chains of these data: those that were given, or new ones."""
    if effort == 0 and work.draws is not None:
        return replace(work.draws.select(data.tolist()), gates=MIXING)
    with work.pace.clock.until(_DRAWING * work.pace.clock.left):
        return hmc(
            part,
            num_chains=NUM_CHAINS,
            num_warmup=num_warmup(GROWTH**effort),
            num_draws=int(NUM_DRAWS * GROWTH**effort),
            seed=seed_of(work, effort),
            gates=MIXING,
            memory_bytes=work.memory_bytes,
        )


def _look(work: Work, data: Tensor, draws: Draws) -> None:
    """Write down what was found from the prior alone: by the search that the chains began with, or by one sent now."""
    found, ess = _found_from_prior(work, data, draws)
    if found is None:
        work.ledger.put(EXPEDITION, data, no_value(len(data)), (BLIND,) * len(data))
        return
    work.ledger.remember(EXPEDITION, EARLIER, data)
    work.ledger.put(EXPEDITION, data, found, weakly_seen(ess))


def _found_from_prior(work: Work, data: Tensor, draws: Draws) -> tuple[Estimate | None, Tensor]:
    """What a search from the prior estimates, and by how many points in effect; None if the prior has no draws."""
    if "prior_ess" in draws.info:
        info = draws.info
        return Estimate(info["prior_log_p"], info["prior_log_p_stderr"], "lower"), info["prior_ess"]
    try:
        opinion = second_opinion(work.part(data), seed=work.seed, memory_bytes=work.memory_bytes)
    except NotImplementedError:
        return None, torch.empty(0)
    return opinion, opinion.info["ess"]


def _weigh(work: Work, data: Tensor, draws: Draws, num_samples: int, seed: int) -> None:
    """Weigh a proposal fitted to the draws from both sides."""
    limits = at_limits(draws)
    adapted = adapted_importance(
        work.part(data), draws, num_samples=num_samples, seed=seed, memory_bytes=work.memory_bytes
    )
    for name, estimate in zip(ADAPTED, adapted, strict=True):
        work.ledger.put(name, data, estimate, _with(estimate, draws.flags, limits))


def _promising(work: Work, data: Tensor) -> Tensor:
    """Which of these data have sound weights that are merely too few, as positions in `data`."""
    return (~work.is_settled(data) & work.is_unflagged(data, ADAPTED)).nonzero().flatten()


def _anneal(work: Work, data: Tensor, draws: Draws, effort: float) -> None:
    """Anneal from the guide up, and from the chains' draws down."""
    part = work.part(data)
    arguments: dict[str, Any] = {
        "num_steps": int(NUM_STEPS * GROWTH**effort),
        "num_chains": NUM_ANNEALED,
        "start": _start(part),
        "num_pilot": NUM_PILOT,
        "num_leapfrog": NUM_LEAPFROG,
        "seed": seed_of(work, effort),
        "memory_bytes": work.memory_bytes,
    }
    limits = at_limits(draws)
    up = anneal(part, search=False, **arguments)  # chains have been begun with one
    down = anneal_reverse(part, draws, allow_failed=True, **arguments)
    for name, estimate in (("annealing", up), ("reverse annealing", down)):
        work.ledger.put(name, data, estimate, joined(estimate.flags, limits))


STAGES: dict[str, Stage] = {
    "importance": by_importance,
    "quadrature": by_quadrature,
    "population": by_population,
    "refined": by_refined,
    "chains": by_chains,
}


def stages_of(target: Target) -> list[str]:
    """The stages that can answer a target, in order: importance sampling alone where latents have no coordinates."""
    if why_no_coordinates(target):
        return ["importance"]
    dim = Coordinates.of(target).dim
    names = ["importance"]
    if dim <= MAX_LATTICE_DIM:
        names.append("quadrature")
    if kind := kind_for(dim):
        names.append(kind)
    if dim > 0:
        names.append("chains")
    return names


def _start(target: Target) -> str:
    """Where annealing begins: at the guide if it has a density at any point."""
    return "guide" if target.has_density else "prior"


def _with(estimate: Estimate, mixing: tuple[str, ...], limits: tuple[str, ...]) -> tuple[str, ...]:
    """The flags of an estimate, of how the chains mix, and of floating point's limits, as one for each datum."""
    return joined(estimate.flags, tuple(f"chains do not mix: {flag}" if flag else "" for flag in mixing), limits)
