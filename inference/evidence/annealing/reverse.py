"""Reverse annealing from posterior draws: an upper bound on log p(x), and both bounds on simulated data."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate, both_sides, reasons
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evidence.annealing.ais import forward
from elbowroom.inference.evidence.annealing.blocks import Block, blocks, in_ranges
from elbowroom.inference.evidence.annealing.randomness import REVERSE, Randomness
from elbowroom.inference.evidence.annealing.results import ChainsInfo, assemble, cautions, observe
from elbowroom.inference.evidence.annealing.settings import Settings
from elbowroom.inference.evidence.annealing.walk import Walk, log_weights, walk
from elbowroom.inference.evidence.second_opinion import doubted_by_draws
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target

Posterior = Draws | Mapping[str, Tensor]


class ReverseInfo(ChainsInfo):
    """What reverse annealing says besides log p̂(x): `ChainsInfo`, and what the value is.

    Keys:
        posterior: which draws the chains began at, and what that makes of the value, in words.
    """

    posterior: str


@dataclass(frozen=True, repr=False)
class Bidirectional(Shown):
    """Both bounds on log p(x) of data simulated from the model.

    Attributes:
        lower: annealing from the start to the posterior.
        upper: annealing back from the exact posterior draws.
        target: the programs on the simulated data.
        z: the latents that made the data, latent site -> `[1, B, *event]`.
    """

    lower: Estimate[ChainsInfo]
    upper: Estimate[ReverseInfo]
    target: Target
    z: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def width(self) -> Tensor:
        """Upper minus lower value of each datum, `[B]`, nats; noise can make it negative."""
        return self.upper.value - self.lower.value

    @property
    def stderr(self) -> Tensor:
        """Standard error of `width`, `[B]`, nats."""
        return torch.hypot(self.upper.stderr, self.lower.stderr)

    def as_table(self) -> Table:
        """The mean of both bounds and of their distance, and the flagged or least certain data."""
        title = f"bounds on log p(x) of {len(self)} data simulated from the model"
        return both_sides(title, self.lower, self.upper)

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further reason for every datum in both bounds."""
        return replace(self, lower=self.lower.doubted(reason), upper=self.upper.doubted(reason))

    def mean_width(self) -> tuple[float, float]:
        """The mean width over data and its standard error from the spread over data, nats per datum."""
        width = self.width
        return width.mean().item(), (width.std() / len(width) ** 0.5).item() if len(width) > 1 else float("nan")


@checked
@asked_again
def bidirectional(
    target: Target,
    *,
    num_steps: int = 400,
    num_chains: int = 16,
    start: str = "guide",
    schedule: str = "adaptive",
    seed: int = 0,
    num_pilot: int = 8,
    num_leapfrog: int = 3,
    num_refresh: int = 10,
    memory_bytes: int | None = None,
    progress: bool = False,
    compile: bool = False,
) -> Bidirectional:
    """Sandwich log p(x) of simulated data between annealing and reverse annealing (Grosse, Ghahramani & Adams 2015).

    (z, x) are drawn from the model, so z is an exact draw of p(z | x), and annealing *back* from it gives unbiased
    estimates of 1 / p(x): their logarithm, with its sign changed, is an upper bound in expectation. Both directions use
    the same frozen kernels. The width of the bracket bounds the error of `anneal` with the same settings on data like
    the model's own.

    Args:
        target: programs and data; the data only say how many to simulate, and their shape.
        num_steps, num_chains, start, schedule, seed, num_pilot, num_leapfrog: as for `anneal`.
        num_refresh: transitions at β = 1 that each reverse chain makes first. The reverse chains of a datum all begin
            at its one exact draw; these transitions leave them exact, and set them apart, without which the standard
            error over chains misses what they have in common. `mean_width` takes its error over data.
        memory_bytes, progress, compile: as for `anneal`.

    Raises:
        ValueError: as `anneal`.
        ProgramError: if the model cannot simulate its data (see `Target.simulate`).
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
    target.check_proper()
    simulated, z = target.simulate(seed)
    up, down = [], []
    for block in blocks(simulated, settings, "AIS both ways", walks=2):
        up.append(observe(block, forward(block, settings), log_weights))
        down.append(observe(block, _backward(block, settings, _of_data(z, block.data), num_refresh), _reverse_weights))
    seconds = time.perf_counter() - begin
    extra = num_chains * num_refresh * num_leapfrog
    upper = assemble(down, settings, "upper", seconds, extra=extra)
    info: ReverseInfo = {**upper.info, "posterior": _EXACT}
    doubts = cautions(simulated, start)
    return Bidirectional(
        lower=assemble(up, settings, "lower", seconds).flagged(doubts),
        upper=Estimate(upper.value, upper.stderr, upper.bound, info, upper.flags).flagged(doubts),
        target=simulated,
        z=z,
    )


@checked
@asked_again
def anneal_reverse(
    target: Target,
    posterior: Posterior,
    *,
    num_steps: int = 400,
    num_chains: int = 16,
    start: str = "guide",
    schedule: str = "adaptive",
    seed: int = 0,
    num_pilot: int = 8,
    num_leapfrog: int = 3,
    num_refresh: int = 10,
    allow_failed: bool = False,
    memory_bytes: int | None = None,
    progress: bool = False,
    compile: bool = False,
) -> Estimate[ReverseInfo]:
    """Estimate log p(x_b) from above, by annealing from draws of p(z | x_b) back to the start.

    log p̂(x) = −log mean 1/w over chains, with the kernels that `anneal` would freeze for the same settings. From exact
    draws E[1/w] = 1 / p(x), an upper bound in expectation. From Markov chains it is an upper *estimate*: a mode that
    they never found is missing from it, and the value is then too low.

    Args:
        target: programs and data.
        posterior: draws of a sampler (`Draws`), or exact ones, latent site -> `[S, B, *event]`. Chains begin at
            `num_chains` of them, evenly spaced; they share them if there are fewer.
        num_steps, num_chains, start, schedule, seed, num_pilot, num_leapfrog, num_refresh: as for `bidirectional`.
        allow_failed: take sampler's draws that did not pass their convergence gates, and flag their data.
        memory_bytes, progress, compile: as for `anneal`.

    Returns:
        Estimate with bound `"upper"` for exact draws and `"none"` for a sampler's; `info`: see `ReverseInfo` and
        `ChainsInfo`.

    Raises:
        NotAReference: if draws of a sampler failed their gates and `allow_failed` is not set.
        ValueError: as `anneal`; if the draws are not of these data.
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
    failed: tuple[str, ...] = ("",) * len(target)
    sampled = posterior if isinstance(posterior, Draws) else None
    if isinstance(posterior, Draws):
        failed = posterior.flags
        if not allow_failed:
            posterior.reference()
        z = {name: value.flatten(0, 1) for name, value in posterior.z.items()}
    else:
        z = dict(posterior)
    _check_draws(target, z)
    check_same_data(target, posterior=sampled)
    pieces = [
        observe(block, _backward(block, settings, _of_data(z, block.data), num_refresh), _reverse_weights)
        for block in blocks(target, settings, "reverse AIS")
    ]
    exact = not isinstance(posterior, Draws)
    seconds = time.perf_counter() - begin
    extra = num_chains * num_refresh * num_leapfrog
    estimate = assemble(pieces, settings, "upper" if exact else "none", seconds, extra=extra)
    info: ReverseInfo = {**estimate.info, "posterior": _EXACT if exact else _SAMPLED}
    flags = tuple(
        reasons(f"the draws are no reference ({sampler})" if sampler else "", flag)
        for sampler, flag in zip(failed, estimate.flags, strict=True)
    )
    reverse = Estimate(estimate.value, estimate.stderr, estimate.bound, info, flags, target.unnormalised)
    reverse = reverse.flagged(cautions(target, start))
    return reverse if sampled is None else doubted_by_draws(reverse, sampled)


_EXACT = "exact posterior draws: an upper bound in expectation"
_SAMPLED = "draws of Markov chains: an upper estimate, a bound only as far as they have converged"


def _backward(block: Block, settings: Settings, z: Mapping[str, Tensor], num_refresh: int) -> Walk:
    """Walk the chains of some data from posterior draws `[S, B, ...]` down to the start."""
    frozen, last = block.frozen, settings.num_steps

    def chains(path: Path, first: int, count: int) -> Walk:
        wanted = torch.arange(first, first + count, dtype=torch.float64)
        randomness = Randomness(path, settings.seed, count, REVERSE + first)
        chosen = {
            name: value[((wanted + 0.5) * len(value) / settings.num_chains).long().to(value.device)].to(
                path.target.device
            )
            for name, value in z.items()
        }
        with torch.no_grad():
            ends = path.evaluate(path.coordinates.unconstrain(chosen))
        for i in range(last, last + num_refresh):
            kernel = frozen.tuning.kernel(frozen.betas[last], i, count)
            ends, _ = path.step(ends, frozen.betas[last], kernel, *randomness.at(i))
        return walk(path, ends, frozen, range(last - 1, 0, -1), randomness, lambda: block.advance(count))

    return in_ranges(block, settings, chains)


def _reverse_weights(betas: Tensor, differences: Tensor) -> Tensor:
    """log w of chains that went from β_T to β_0, `[C, B]`, nats."""
    return log_weights(-betas.flip(0), differences)


def _of_data(z: Mapping[str, Tensor], data: slice) -> dict[str, Tensor]:
    return {name: value[:, data] for name, value in z.items()}


def _check_draws(target: Target, z: Mapping[str, Any]) -> None:
    for name, shape in target.latents.items():
        actual, expected = tuple(z[name].shape) if name in z else None, (len(target), *shape)
        if actual is None or actual[1:] != expected or actual[0] < 1:
            raise ValueError(
                f"posterior must hold draws of site '{name}' of shape [S, {', '.join(map(str, expected))}], got "
                f"{actual if actual is not None else f'the sites {sorted(z)}'}: are they of these programs and data?"
            )
