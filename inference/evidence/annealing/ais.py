"""Annealed importance sampling: a lower bound on log p(x) whose kernels were frozen before its chains began."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evidence.annealing.blocks import Block, blocks, in_ranges
from elbowroom.inference.evidence.annealing.randomness import FORWARD, Randomness
from elbowroom.inference.evidence.annealing.results import ChainsInfo, Piece, assemble, joined, observe
from elbowroom.inference.evidence.annealing.settings import Settings
from elbowroom.inference.evidence.annealing.walk import (
    ThermodynamicInfo,
    Walk,
    conditional_ess,
    log_weights,
    thermodynamic,
    walk,
)
from elbowroom.inference.evidence.second_opinion import doubted
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.target import Target


class AnnealInfo(ChainsInfo):
    """What annealing says besides log p̂(x): `ChainsInfo`, and what else is reduced from the same chains.

    Keys:
        conditional_ess: conditional effective share of the chains at each step, `[T, B]`.
        thermodynamic: log p(x) by thermodynamic integration.
    """

    conditional_ess: Tensor
    thermodynamic: Estimate[ThermodynamicInfo]


@checked
@asked_again
def anneal(
    target: Target,
    *,
    num_steps: int = 100,
    num_chains: int = 16,
    start: str = "guide",
    schedule: str = "adaptive",
    seed: int = 0,
    num_pilot: int = 8,
    num_leapfrog: int = 3,
    memory_bytes: int | None = None,
    progress: bool = False,
    compile: bool = False,
    search: bool | None = None,
) -> Estimate[AnnealInfo]:
    """Estimate log p(x_b) by annealed importance sampling (Neal 2001) from the guide or the prior to the posterior.

    Chains start at draws of f_0 and make one HMC transition at each intermediate temperature of the path
    f_β = f_0^(1−β) p(x, z)^β, in unconstrained coordinates. Step sizes, scales and temperatures of each datum are
    tuned on pilot chains with noise of their own and then frozen: E[w] = p(x) exactly, so log p̂(x) = log mean w is a
    lower bound in expectation whatever the chains do. One step (`num_steps=1`) is importance sampling.

    Args:
        target: programs and data.
        num_steps: T, increments of the temperature; T − 1 transitions.
        num_chains: C, independent weights of each datum.
        start: `"guide"` (a good guide saves most of the way) or `"prior"` (needs no density of the guide).
        schedule: `"adaptive"` (equal conditional effective sample size of every step on the pilot chains, for each
            datum), `"sigmoid"` or `"linear"`.
        seed: the result is a function of (seed, datum, chain, step).
        num_pilot: pilot chains of each datum.
        num_leapfrog: leapfrog steps of a transition.
        memory_bytes: byte budget for one evaluation and the chains' record (default 256 MiB).
        progress: show a progress bar if it takes longer than two seconds.
        compile: compile the densities (tens of seconds once; pays for long runs).
        search: with `start="guide"`, look for modes that the guide misses by particles from the prior, and flag data
            where these show more than the chains have seen (see `second_opinion.py`); None: up to 16 latents.

    Returns:
        Estimate with bound `"lower"`; value and stderr `[B]` in nats; `info`: see `AnnealInfo` and `ChainsInfo`. The
        error is the delta method's over chains, widened so that value ± 1.96 stderr is a 95 % interval
        with few of them, too, and where they are 100 or more by what their tail leaves open, as of `importance`.

    Raises:
        ValueError: on a number out of range, an unknown name, a budget too small, a target without continuous latents,
            or `start="guide"` with a guide whose density at a given point is unknown.
    """
    target = target.collapsed()
    begin = time.perf_counter()
    settings = Settings(
        num_steps=num_steps,
        num_chains=num_chains,
        start=start,
        schedule=schedule,
        num_pilot=num_pilot,
        num_leapfrog=num_leapfrog,
        seed=seed,
        memory_bytes=memory_bytes,
        progress=progress,
        compile=compile,
    )
    pieces, integrals = [], []
    for block in blocks(target, settings, "AIS"):
        piece, integral = _reduce(block, forward(block, settings))
        pieces.append(piece)
        integrals.append(integral)
    estimate = assemble(pieces, settings, "lower", time.perf_counter() - begin)
    info: AnnealInfo = {
        **estimate.info,
        "conditional_ess": joined(pieces, "conditional_ess"),
        "thermodynamic": _side_by_side(integrals),
    }
    annealed = Estimate(estimate.value, estimate.stderr, estimate.bound, info, estimate.flags, target.unnormalised)
    if start == "prior":
        return annealed
    annealed = annealed.flagged(target.cautions)
    return doubted(annealed, target, search, seed=seed, memory_bytes=memory_bytes)


def forward(block: Block, settings: Settings) -> Walk:
    """Walk the chains of some data from draws of the start to the posterior."""

    def chains(path: Path, first: int, count: int) -> Walk:
        ends = path.draw(count, settings.seed, FORWARD + first)
        randomness = Randomness(path, settings.seed, count, FORWARD + first)
        return walk(path, ends, block.frozen, range(1, settings.num_steps), randomness, lambda: block.advance(count))

    return in_ranges(block, settings, chains)


def _reduce(block: Block, chains: Walk) -> tuple[Piece, Estimate[ThermodynamicInfo]]:
    betas = block.frozen.betas
    piece = observe(block, chains, log_weights)
    piece["conditional_ess"] = conditional_ess(betas, chains.differences).cpu()
    return piece, thermodynamic(betas, chains.differences)


def _side_by_side(integrals: list[Estimate[ThermodynamicInfo]]) -> Estimate[ThermodynamicInfo]:
    def of_all(read: Callable[[Estimate[ThermodynamicInfo]], Tensor]) -> Tensor:
        return torch.cat([read(integral) for integral in integrals]).cpu()

    info: ThermodynamicInfo = {
        "trapezoid_bias": of_all(lambda integral: integral.info["trapezoid_bias"]),
        "chain_stderr": of_all(lambda integral: integral.info["chain_stderr"]),
    }
    return Estimate(of_all(lambda i: i.value), of_all(lambda i: i.stderr), "none", info)
