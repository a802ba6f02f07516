"""Tempered sequential Monte Carlo: annealing whose chains are resampled where their weights have spread."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.budget import check_fits
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evidence.annealing.blocks import Block, blocks
from elbowroom.inference.evidence.annealing.randomness import PARTICLES, Randomness
from elbowroom.inference.evidence.annealing.results import ChainsInfo, Piece, assemble, joined, observe
from elbowroom.inference.evidence.annealing.settings import Settings
from elbowroom.inference.evidence.annealing.walk import Walk
from elbowroom.inference.evidence.second_opinion import doubted
from elbowroom.inference.mcmc.path import Ends, Path
from elbowroom.inference.target import Target

RESAMPLE = 0.5
"""Share of effective particles below which the particles of a datum are resampled."""


class SmcInfo(ChainsInfo):
    """What tempered SMC says besides log p̂(x): `ChainsInfo`, with runs for chains: `log_weights` is log p̂(x) of each.

    Keys:
        num_resamplings: how often the particles of each run were resampled, `[R, B]`.
    """

    num_resamplings: Tensor


@checked
@asked_again
def smc(
    target: Target,
    *,
    num_particles: int = 32,
    num_runs: int = 16,
    num_steps: int = 100,
    start: str = "guide",
    schedule: str = "adaptive",
    seed: int = 0,
    num_pilot: int = 8,
    num_leapfrog: int = 3,
    memory_bytes: int | None = None,
    progress: bool = False,
    compile: bool = False,
    search: bool | None = None,
) -> Estimate[SmcInfo]:
    """Estimate log p(x_b) by tempered sequential Monte Carlo (Del Moral, Doucet & Jasra 2006, section 3).

    Particles follow the path of `anneal` with kernels and temperatures frozen in the same way; where the effective
    number of particles of a datum falls below half, they are resampled systematically. The product of mean incremental
    weights is an unbiased estimate of p(x); the logarithm of its mean over independent runs is a lower bound in
    expectation, and the spread over runs gives the error.

    Args:
        target: programs and data.
        num_particles: N, particles of each run.
        num_runs: R, independent runs of each datum.
        num_steps, start, schedule, seed, num_pilot, num_leapfrog, memory_bytes, progress, compile, search: as
            for `anneal`.

    Returns:
        Estimate with bound `"lower"`; value and stderr (delta method over runs, widened for few of them as that of
        `anneal`) `[B]` in nats; `info`: see `SmcInfo` and `ChainsInfo`.

    Raises:
        ValueError: as `anneal`; if the budget does not hold one run of one datum.
    """
    target = target.collapsed()
    begin = time.perf_counter()
    check_fits(target, num_particles=num_particles, num_runs=num_runs)
    chains = num_particles * num_runs
    settings = Settings(
        num_steps=num_steps,
        num_chains=chains,
        start=start,
        schedule=schedule,
        num_pilot=num_pilot,
        num_leapfrog=num_leapfrog,
        seed=seed,
        memory_bytes=memory_bytes,
        progress=progress,
        compile=compile,
    )
    pieces = [_all_runs(block, settings, num_particles, num_runs) for block in blocks(target, settings, "SMC")]
    estimate = assemble(pieces, settings, "lower", time.perf_counter() - begin, noun="runs")
    info: SmcInfo = {**estimate.info, "num_resamplings": joined(pieces, "num_resamplings")}
    found = Estimate(estimate.value, estimate.stderr, estimate.bound, info, estimate.flags, target.unnormalised)
    if start == "prior":
        return found
    found = found.flagged(target.cautions)
    return doubted(found, target, search, seed=seed, memory_bytes=memory_bytes)


@dataclass(frozen=True)
class _Run:
    """What some runs of some data came to."""

    log_evidence: Tensor  # [R, B]
    num_resamplings: Tensor  # [R, B]
    acceptance: Tensor  # [T − 1, B]


def _all_runs(block: Block, settings: Settings, num_particles: int, num_runs: int) -> Piece:
    runs_at_once = block.plan.samples_at_once // num_particles
    if runs_at_once < 1:
        raise ValueError(
            f"memory_bytes={settings.memory_bytes} holds {block.plan.samples_at_once} particles of "
            f"{block.plan.data_at_once} data at a time, fewer than num_particles={num_particles}, which are resampled "
            "together. Raise it, or lower num_particles."
        )
    ranges = [(first, min(runs_at_once, num_runs - first)) for first in range(0, num_runs, runs_at_once)]
    runs = [_runs(block, settings, num_particles, first, count) for first, count in ranges]
    share = [count / num_runs for _, count in ranges]
    acceptance = torch.stack([run.acceptance * s for run, s in zip(runs, share, strict=True)]).sum(0)
    log_evidence = torch.cat([run.log_evidence for run in runs])
    piece = observe(block, Walk(log_evidence, acceptance), lambda betas, log_weights: log_weights)
    piece["num_resamplings"] = torch.cat([run.num_resamplings for run in runs]).cpu()
    return piece


def _runs(block: Block, settings: Settings, num_particles: int, first: int, count: int) -> _Run:
    """Make the runs `first … first + count − 1` of some data, their particles as chains side by side."""
    path, frozen, chain = block.path, block.frozen, PARTICLES + first * num_particles
    ends = path.draw(count * num_particles, settings.seed, chain)
    randomness = Randomness(path, settings.seed, count * num_particles, chain)
    log_w = torch.zeros_like(ends.difference).unflatten(0, (count, num_particles))  # [R, N, B]
    log_evidence, num_resamplings = torch.zeros_like(log_w[:, 0]), torch.zeros_like(log_w[:, 0], dtype=torch.long)
    acceptance = []
    for t in range(1, settings.num_steps):
        step = frozen.betas[t] - frozen.betas[t - 1]
        log_w = log_w + (step * ends.difference).unflatten(0, (count, num_particles))
        low = _effective(log_w) < RESAMPLE * num_particles  # [R, B]
        if bool(low.any()):
            log_evidence = torch.where(low, log_evidence + _log_mean(log_w), log_evidence)
            ends = _resampled(path, settings.seed, ends, log_w, low, t, first)
            log_w = torch.where(low.unsqueeze(1), 0.0, log_w)
            num_resamplings = num_resamplings + low
        kernel = frozen.tuning.kernel(frozen.betas[t], t, count * num_particles)
        ends, move = path.step(ends, frozen.betas[t], kernel, *randomness.at(t))
        acceptance.append(move.acceptance.mean(0))
        block.advance(count * num_particles)
    log_w = log_w + ((1 - frozen.betas[-2]) * ends.difference).unflatten(0, (count, num_particles))
    nothing = ends.log_start.new_empty(0, ends.u.shape[1])
    return _Run(log_evidence + _log_mean(log_w), num_resamplings, torch.stack(acceptance) if acceptance else nothing)


def _resampled(path: Path, seed: int, ends: Ends, log_w: Tensor, low: Tensor, step: int, first: int) -> Ends:
    """The particles of the runs and data that are `low` `[R, B]` drawn anew, the others as they are."""
    num_runs, num_particles, _ = log_w.shape
    uniform = RandomNumbers(path.target, seed).uniform(f"resample {step}", num_runs, PARTICLES + first)
    position = torch.arange(num_particles, device=log_w.device).reshape(1, -1, 1)
    index = torch.where(low.unsqueeze(1), systematic(log_w, uniform), position)  # [R, N, B]
    run = torch.arange(num_runs, device=log_w.device).reshape(-1, 1, 1)
    return ends.gather((run * num_particles + index).flatten(0, 1))


def systematic(log_w: Tensor, uniform: Tensor) -> Tensor:
    """Indices of particles in proportion to their weights `[R, N, B]`, from one uniform a run `[R, B]`: `[R, N, B]`.

    Particle i is chosen ⌊N w̄_i⌋ or ⌈N w̄_i⌉ times (Carpenter, Clifford & Fearnhead 1999, section 3).
    """
    num_particles = log_w.shape[1]
    cumulative = log_w.softmax(1).cumsum(1).transpose(1, 2).contiguous()  # [R, B, N]
    ladder = torch.arange(num_particles, dtype=cumulative.dtype, device=cumulative.device)
    wanted = ((ladder + uniform.to(cumulative).unsqueeze(-1)) / num_particles).contiguous()
    chosen = torch.searchsorted(cumulative, wanted, right=True).clamp(max=num_particles - 1)
    return chosen.transpose(1, 2)


def _effective(log_w: Tensor) -> Tensor:
    """(Σ w)² / Σ w² of the particles of each run, `[R, B]`; NaN, which is not low, where no weight is positive."""
    return (2 * log_w.logsumexp(1) - (2 * log_w).logsumexp(1)).exp()


def _log_mean(log_w: Tensor) -> Tensor:
    return log_w.logsumexp(1) - math.log(log_w.shape[1])
