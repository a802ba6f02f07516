"""Draws of a frozen kernel: independence moves between modes, HMC moves within them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbowroom.inference.evaluation.densities import Densities
from elbowroom.inference.evaluation.random_numbers import Streams
from elbowroom.inference.mcmc.leapfrog import evaluate, kinetic
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.trajectory import halton
from elbowroom.inference.mcmc.transition import Kernel, transition
from elbowroom.inference.mcmc.warmup import Tuned

SELDOM, NOW_AND_THEN, ALWAYS = 16, 8, 1
"""Every so many draws make an HMC move: where jumps travel well, where they are accepted but uneven, and elsewhere."""

_ACCEPTED = 0.5  # jumps, from which on HMC need not move at every draw

BURN_IN = 2 * SELDOM
"""Draws thrown away after warm-up: until then there were no jumps."""


@dataclass(frozen=True)
class Schedule:
    """What a draw of each datum consists of; a function of the frozen acceptance of its jumps alone.

    Attributes:
        tries: independence moves in a draw, `[B]`.
        period: every so many draws make an HMC move, `[B]`; divisors of one another.
    """

    tries: Tensor
    period: Tensor

    @classmethod
    def of(cls, acceptance: Tensor, easy: Tensor) -> "Schedule":
        """More tries where fewer are accepted; HMC moves in every draw where jumps alone would not mix."""
        tries = torch.where(acceptance >= 0.6, 1, torch.where(acceptance >= 0.35, 2, 4))
        uneven = torch.where(acceptance >= _ACCEPTED, NOW_AND_THEN, ALWAYS)
        return cls(torch.where(acceptance > 0, tries, 0), torch.where(easy, SELDOM, uneven))

    def jitter(self, index: int) -> Tensor:
        """Of the HMC move at a draw, `[B]`: the next number of each datum's own sequence."""
        jitter = torch.ones(len(self.period), dtype=torch.float64, device=self.period.device)
        for period in (ALWAYS, NOW_AND_THEN, SELDOM):
            jitter[self.period == period] = halton(index // period)
        return jitter


@dataclass(frozen=True)
class Chains:
    """Draws in unconstrained coordinates, `[T, C, B, D]`, and their statistics `[T, C, B]`.

    `gradients` and `densities` are what they cost, `[B]`, draws that were thrown away included.
    """

    u: Tensor
    stats: dict[str, Tensor]
    gradients: Tensor
    densities: Tensor


@dataclass
class _State:
    """Where the chains are: position, log density, log weight p/q under the proposal."""

    u: Tensor
    log_p: Tensor
    log_w: Tensor


@dataclass(frozen=True)
class _Proposals:
    """Independence proposals of a block of draws: `[J, n, C, B]`, positions `[J, n, C, B, D]`."""

    u: Tensor
    log_p: Tensor
    log_w: Tensor
    log_uniform: Tensor


def sample(densities: Densities, tuned: Tuned, streams: Streams, num_draws: int, tick: Callable[[int], None]) -> Chains:
    """`num_draws` draws of every chain, after a few that are thrown away since jumps have only just begun."""
    schedule = Schedule.of(tuned.acceptance, tuned.easy)
    if not densities.coordinates.target.sliceable:  # all data move together
        schedule = replace(schedule, period=schedule.period.amin().expand_as(schedule.period))
    num_chains, num_data, dim = tuned.point.u.shape
    point = tuned.point
    state = _State(point.u, point.log_p, point.log_p - tuned.mixture.log_density(point.u))
    movers = {p: _Mover.of(densities, tuned, schedule.period <= p) for p in (ALWAYS, NOW_AND_THEN, SELDOM)}
    tries = int(schedule.tries.max())
    block = max(1, densities.slice_of(num_data) // (num_chains * max(tries, 1)))
    kept = torch.empty(num_draws, num_chains, num_data, dim, dtype=point.u.dtype, device=point.u.device)
    names = ("lp", "energy", "acceptance_rate", "n_steps", "diverging")
    stats = {name: torch.zeros_like(kept[..., 0]) for name in names}
    gradients = torch.zeros_like(state.log_p[0])
    for begin in range(-BURN_IN, num_draws, block):
        count = min(block, num_draws - begin)
        first = (begin + BURN_IN) * num_chains
        momenta = streams.normal("momentum", count * num_chains, dim, first).unflatten(0, (count, num_chains))
        uniforms = streams.uniform("accept", count * num_chains, first).unflatten(0, (count, num_chains))
        proposals = _propose(densities, tuned.mixture, streams, tries, (block, num_chains), first) if tries else None
        for n in range(count):
            row = _draw(state, movers, schedule, momenta[n], uniforms[n], proposals, n, begin + BURN_IN + n)
            gradients = gradients + row[3].sum(0)
            if begin + n >= 0:
                kept[begin + n] = state.u
                for name, value in zip(names, row, strict=True):
                    stats[name][begin + n] = value
        tick(count * num_chains)
    stats["step_size"] = tuned.kernel.step_size.expand(num_draws, -1, -1)
    stats["diverging"] = stats["diverging"] > 0
    stats["n_steps"] = stats["n_steps"].long()
    return Chains(kept, stats, gradients, schedule.tries * num_chains * (num_draws + BURN_IN))


@dataclass(frozen=True)
class _Mover:
    """HMC on the data that are due at a draw."""

    density: Callable[[Tensor], tuple[Tensor, Tensor]]
    kernel: Kernel
    mixture: Mixture
    rows: Tensor | None  # None: all of them

    @classmethod
    def of(cls, densities: Densities, tuned: Tuned, due: Tensor) -> "_Mover | None":
        """Of the data that are due `[B]`; None if none is."""
        kernel, mixture = tuned.kernel, tuned.mixture
        if bool(due.all()):
            return cls(densities.gradient, kernel, mixture, None)
        if not bool(due.any()):
            return None
        rows = due.nonzero().flatten()
        return cls(densities.on(rows), kernel.select(rows), mixture.select(rows), rows)

    def move(self, state: _State, momentum: Tensor, uniform: Tensor, jitter: Tensor, row: list[Tensor]) -> None:
        """Change the state in place, and the statistics (acceptance, steps, divergence)."""
        rows = slice(None) if self.rows is None else self.rows
        jitter = jitter[rows]
        point = evaluate(self.density, state.u[:, rows])
        point, move = transition(self.density, point, self.kernel, momentum[:, rows], uniform[:, rows], jitter)
        log_w = point.log_p - self.mixture.log_density(point.u)
        news: list[tuple[Tensor, Tensor]] = [
            (state.u, point.u),
            (state.log_p, point.log_p),
            (state.log_w, log_w),
            *zip(row, (move.acceptance, move.num_steps + 1, move.diverging), strict=True),
        ]
        for old, new in news:
            old[:, rows] = new.to(old.dtype)


def _draw(
    state: _State,
    movers: dict[int, _Mover | None],
    schedule: Schedule,
    momentum: Tensor,
    uniform: Tensor,
    proposals: _Proposals | None,
    n: int,
    index: int,
) -> tuple[Tensor, ...]:
    """One draw, in place; its log density, energy, acceptance, gradients and divergences, `[C, B]`."""
    energy = kinetic(momentum) - state.log_p
    state.u, state.log_p, state.log_w = state.u.clone(), state.log_p.clone(), state.log_w.clone()
    moved = [torch.zeros_like(state.log_p) for _ in range(3)]
    period = max(p for p in movers if index % p == 0)
    mover = movers[period]
    if mover is not None:
        mover.move(state, momentum, uniform, schedule.jitter(index), moved)
    if proposals is not None:
        jumped = _jump(state, proposals, schedule.tries, n)
        moved[0] = torch.where(moved[1] > 0, moved[0], jumped)
    return (state.log_p, energy, *moved)


def _jump(state: _State, proposals: _Proposals, tries: Tensor, n: int) -> Tensor:
    """Independence Metropolis–Hastings, once a try (Tierney 1994, section 2.3.1); the acceptance of the first try."""
    first = torch.zeros_like(state.log_p)
    for j in range(len(proposals.u)):
        log_ratio = (proposals.log_w[j, n] - state.log_w).nan_to_num(-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        accepted = (proposals.log_uniform[j, n] < log_ratio) & (tries > j)
        state.u = torch.where(accepted.unsqueeze(-1), proposals.u[j, n], state.u)
        state.log_p = torch.where(accepted, proposals.log_p[j, n], state.log_p)
        state.log_w = torch.where(accepted, proposals.log_w[j, n], state.log_w)
        if j == 0:
            first = log_ratio.exp().clamp(max=1.0)
    return first


def _propose(
    densities: Densities, mixture: Mixture, streams: Streams, tries: int, shape: tuple[int, int], first: int
) -> _Proposals:
    """All proposals of a block in one evaluation; try j of a draw has a stream of its own."""
    count, dim = shape[0] * shape[1], mixture.mean.shape[-1]
    names = [f"jump {j}" for j in range(tries)]
    normal = torch.cat([streams.normal(f"{name}: normal", count, dim, first) for name in names])
    component, width, uniform = (
        torch.cat([streams.uniform(f"{name}: {what}", count, first) for name in names])
        for what in ("component", "width", "accept")
    )
    u = mixture.sample(normal, component, width)
    log_p = densities.log_joint(u).nan_to_num(-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
    log_w = log_p - mixture.log_density(u)
    return _Proposals(*(t.unflatten(0, (tries, *shape)) for t in (u, log_p, log_w, uniform.log())))
