"""Markov chains for every datum at once: HMC with jumps, as one tensor program on [chains, data]."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.budget import cells_within, check_fits, plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.mcmc.convergence import Gates
from elbowroom.inference.mcmc.draws import Draws, DrawsInfo
from elbowroom.inference.mcmc.effective_size import effective_sample_size
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.mcmc.sampling import BURN_IN, Chains, sample
from elbowroom.inference.mcmc.search import STARTS
from elbowroom.inference.mcmc.warmup import Settings, warm_up
from elbowroom.inference.programs.evaluations import unasked
from elbowroom.inference.programs.refusals import counted
from elbowroom.inference.progress import Tick, progress_bar
from elbowroom.inference.target import Target

_GRADIENT = 3  # evaluations that hold as much as one with its gradient
_AT_ONCE = 256  # samples of a datum that a search draws from the prior at once


@checked
@asked_again
def hmc(
    target: Target,
    *,
    num_chains: int = 4,
    num_warmup: int = 100,
    num_draws: int = 500,
    seed: int = 0,
    start: str = "both",
    jumps: bool = True,
    target_accept: float = 0.8,
    max_steps: int = 32,
    gates: Gates | None = None,
    memory_bytes: int | None = None,
    compile: bool = False,
    progress: bool = False,
) -> Draws:
    """Sample p(z | x_b) for every datum b at once.

    Each (chain, datum) is a Markov chain of its own in unconstrained coordinates, with its own step size and accept
    decisions. Two kinds of moves are made in turn, each of which leaves the posterior as it is: HMC with a jittered
    trajectory length (Neal 2011; ChEES adaptation, Hoffman, Radul & Sountsov 2021), which moves where no proposal fits,
    and independence Metropolis–Hastings proposals from a Gaussian mixture fitted to the posterior, which cross between
    modes. Warm-up weighs draws of the guide and of the prior or, for three latents and more, particles tempered from
    there (`expedition.py`: modes that the guide does not know), adapts HMC from chains that start apart, and fits the
    mixture to both; then everything is frozen. How often each move is made is decided for each datum by how evenly the
    mixture covers its posterior.

    Positions are rounded to a millionth of a standard deviation before an HMC move, so that a datum's draws do not
    depend on how a processor adds up (float64: to about 1e-12; float32 has not the digits, and parts within standard
    errors).

    A good guide makes this cheap; a bad one costs time, not correctness: chains that disagree are flagged.

    Args:
        target: programs and data.
        num_chains: C, for each datum.
        num_warmup: HMC transitions that adapt.
        num_draws: T draws of each chain that are kept.
        seed: the chains of a datum are a function of (seed, datum).
        start: where chains start: `"guide"`, `"prior"`, or `"both"` by turns, so that a mode that the guide misses
            can be found; `"guide"` looks nowhere else.
        jumps: make independence moves.
        target_accept: mean acceptance probability of HMC that step sizes are adapted to.
        max_steps: leapfrog steps of one move at most.
        gates: convergence gates; data that fail them are flagged and `.reference()` refuses them.
        memory_bytes: byte budget for one evaluation (default 256 MiB); data are run in chunks that keep it.
        compile: compile the density with `torch.compile`: worth its tens of seconds for long runs.
        progress: show a progress bar if it takes longer than two seconds.

    Returns:
        Draws with `stats` `[C, T, B]`: `lp` (log density of u, nats); `energy` (H with the momentum drawn afresh,
        before the draw's moves, nats: jumps raise E-BFMI, too); `acceptance_rate` (probability that the HMC move is
        accepted; in draws without one, the first jump); `step_size`; `n_steps` (gradients; zero in draws without an
        HMC move); `diverging` (of HMC moves); `info`: see `DrawsInfo`.

    Raises:
        ValueError: on a number out of range, an unknown `start`, a discrete latent in the guide, no latent at all, a
            byte budget too small for one datum, or draws that memory does not hold.
    """
    target = target.collapsed()
    if start not in STARTS:
        raise ValueError(f"start must be one of {', '.join(map(repr, STARTS))}, got {start!r}")
    check_fits(target, num_chains=num_chains, num_draws=num_draws)
    coordinates = Coordinates.of(target)
    if coordinates.dim == 0:
        raise ValueError("this target has no continuous latent to sample (finite discrete ones are summed out)")
    settings = Settings(
        num_chains=num_chains,
        num_warmup=num_warmup,
        start=start,
        jumps=jumps,
        target_accept=target_accept,
        max_steps=max_steps,
    )
    at_once = plan(target, _AT_ONCE, memory_bytes).data_at_once
    cells = cells_within(target, memory_bytes)
    densities = Densities.of(coordinates, max(num_chains, cells), compile)
    path = Path(coordinates, "prior", compile=compile, cells=max(1, cells // _GRADIENT))
    begin, pieces, effective = time.perf_counter(), [], 0.0
    total = len(target) * num_chains * (num_warmup + BURN_IN + num_draws)
    with progress_bar(total, "HMC", "draw", progress) as bar, counted() as refused:
        for chunk, part in _chunks(densities, at_once):
            way = path.on(part.coordinates.target)
            pieces.append(_run(part, way, settings, num_draws=num_draws, seed=seed, num_data=len(chunk), tick=bar))
            if progress:
                effective += _effective(pieces[-1].z)
                bar.note(f"{effective:,.0f} effective draws of {chunk.stop} data")
    draws = _collect(target, pieces, settings, seed=seed, seconds=time.perf_counter() - begin, gates=gates)
    draws.info["num_refused"] = refused.of(target)
    return draws


def _chunks(densities: Densities, at_once: int) -> Iterator[tuple[range, Densities]]:
    """The data in chunks of one size, and the densities of each.

    The last chunk is made up to full size by its own data, so that one record of the programs serves all.
    """
    coordinates = densities.coordinates
    num_data = len(coordinates.target)
    for first in range(0, num_data, at_once):
        chunk = range(first, min(first + at_once, num_data))
        index = torch.tensor(chunk)
        padded = torch.cat([index, index[:1].expand(at_once - len(chunk))])
        yield chunk, densities.at(coordinates.at(padded)) if coordinates.target.sliceable else densities


class _Piece(NamedTuple):
    """Draws by site and statistics by name, `[C, T, b, …]`, and counts by name, `[b]`, of one chunk."""

    z: dict[str, Tensor]
    stats: dict[str, Tensor]
    counts: dict[str, Tensor]


def _run(
    densities: Densities, path: Path, settings: Settings, *, num_draws: int, seed: int, num_data: int, tick: Tick
) -> _Piece:
    """Warm up and draw for one chunk, whose first `num_data` data are kept."""
    coordinates = densities.coordinates
    numbers = RandomNumbers(coordinates.target, seed)

    def moved(num_chains: int) -> None:
        tick(num_chains * num_data)

    tuned = warm_up(coordinates, densities.gradient, densities.log_joint, numbers, settings, moved, path)
    chains = sample(densities, tuned, numbers, num_draws, moved)
    counts = {
        "num_evaluations": tuned.gradients + chains.gradients,
        "num_densities": tuned.evaluations + chains.densities,
        "jump_acceptance": tuned.acceptance,
    }
    if tuned.expedition is not None:
        counts |= {
            "prior_log_p": tuned.expedition.log_evidence,
            "prior_log_p_stderr": tuned.expedition.stderr,
            "prior_ess": torch.where(tuned.expedition.heard, tuned.expedition.ess, 0.0),  # else it found nothing
            "prior_crowded": tuned.expedition.is_crowded & tuned.expedition.heard,
        }
    return _Piece(
        z={name: value[:, :, :num_data] for name, value in _sites(densities, chains).items()},
        stats={name: value.transpose(0, 1)[:, :, :num_data].cpu() for name, value in chains.stats.items()},
        counts={name: value[:num_data].cpu() for name, value in counts.items()},
    )


def _effective(z: dict[str, Tensor]) -> float:
    """Effective draws of the worst latent of each datum, summed over data."""
    least = [effective_sample_size(value).reshape(value.shape[2], -1).amin(1) for value in z.values()]
    return float(torch.stack(least).amin(0).nan_to_num(0.0).sum())


def _sites(densities: Densities, chains: Chains) -> dict[str, Tensor]:
    """Values by site, `[C, T, B, *event]`, constrained in slices."""
    coordinates, (num_draws, num_chains, num_data, _) = densities.coordinates, chains.u.shape
    target = coordinates.target
    flat = chains.u.flatten(0, 1)
    if coordinates.real:
        values = coordinates.unpack(flat)
    else:
        with torch.no_grad(), unasked():  # of draws that a budget had room for
            pieces = [
                target.log_joint_unconstrained(coordinates.unpack(piece))[2]
                for piece in flat.split(densities.slice_of(num_data))
            ]
        values = {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}
    return {
        name: values[name].reshape(num_draws, num_chains, num_data, *shape).transpose(0, 1).cpu()
        for name, shape in target.latents.items()
    }


def _collect(
    target: Target, pieces: list[_Piece], settings: Settings, *, seed: int, seconds: float, gates: Gates | None
) -> Draws:
    """Join the chunks."""
    counts = _joined([piece.counts for piece in pieces], 0)
    info: DrawsInfo = {
        "method": "hmc",
        "seconds": seconds,
        "num_evaluations": counts["num_evaluations"],
        "num_warmup": settings.num_warmup,
        "seed": seed,
        "num_densities": counts["num_densities"],
        "jump_acceptance": counts["jump_acceptance"],
    }
    if "prior_ess" in counts:
        info["prior_log_p"], info["prior_log_p_stderr"] = counts["prior_log_p"], counts["prior_log_p_stderr"]
        info["prior_ess"], info["prior_crowded"] = counts["prior_ess"], counts["prior_crowded"]
    made = min(piece.stats["lp"].shape[1] for piece in pieces)  # fewer in the last one, where a budget ended there
    z, stats = (
        _joined([{name: value[:, :made] for name, value in part.items()} for part in parts], 2)
        for parts in ([piece.z for piece in pieces], [piece.stats for piece in pieces])
    )
    return Draws(z, target.latent_names, stats, info, gates or Gates(), target.varying, digests=target.digests)


def _joined(parts: list[dict[str, Tensor]], dim: int) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts], dim) for name in parts[0]}
