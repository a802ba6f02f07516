"""Draws of a frozen kernel: HMC moves within modes, then jumps between them, as pure steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.clock import Spent
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.mcmc.jumps import Proposals, State, jump, propose
from elbowroom.inference.mcmc.leapfrog import kinetic
from elbowroom.inference.mcmc.moves import SELDOM, Moves, Schedule
from elbowroom.inference.mcmc.warmup import Tuned
from elbowroom.inference.progress import Tick

BURN_IN = 2 * SELDOM
"""Draws thrown away after warm-up: until then there were no jumps."""

LEAST_DRAWS = 50
"""Draws of each chain with which chains may end where a budget does: fewer say nothing of how they mix."""


class Info(NamedTuple):
    """What a diagnostic needs to know of each of n draws, `[n, C, B]` each.

    Attributes:
        lp: log density of u after the draw, nats.
        energy: the Hamiltonian with the momentum drawn afresh, before the draw's moves, nats.
        acceptance_rate: acceptance probability of the HMC move; in draws without one, of the first jump.
        n_steps: gradient evaluations; zero without an HMC move.
        diverging: whether the HMC move diverged.
    """

    lp: Tensor
    energy: Tensor
    acceptance_rate: Tensor
    n_steps: Tensor
    diverging: Tensor


@dataclass(frozen=True)
class Chains:
    """Draws in unconstrained coordinates, `[T, C, B, D]`, and their statistics `[T, C, B]`.

    `gradients` and `densities` are what they cost, `[B]`, draws that were thrown away included.
    """

    u: Tensor
    stats: dict[str, Tensor]
    gradients: Tensor
    densities: Tensor


class Randomness(NamedTuple):
    """The random numbers of n draws.

    Attributes:
        momentum: standard normals, `[n, C, B, D]`.
        kinetic: their kinetic energies, `[n, C, B]`, nats.
        uniform: uniforms of the HMC moves' accept decisions, `[n, C, B]`.
        proposals: where jumps may lead; None where no datum jumps.
    """

    momentum: Tensor
    kinetic: Tensor
    uniform: Tensor
    proposals: Proposals | None

    def of_draws(self, begin: int, end: int) -> "Randomness":
        """Those of some of the draws."""
        proposals = None if self.proposals is None else self.proposals.of_draws(begin, end)
        return Randomness(self.momentum[begin:end], self.kinetic[begin:end], self.uniform[begin:end], proposals)


def sample(densities: Densities, tuned: Tuned, numbers: RandomNumbers, num_draws: int, tick: Tick) -> Chains:
    """Make `num_draws` draws of every chain, after a few that are thrown away since jumps have only just begun.

    Where a budget ends, the draws that have been made are kept: the moves are frozen, so those to come change none.

    Raises:
        Spent: if a budget ends before there are `LEAST_DRAWS`.
    """
    moves, point = Moves.of(densities, tuned), tuned.point
    state = State(point.u, point.log_p, point.log_p - tuned.mixture.log_density(point.u))
    u, stats = _room(num_draws, state)
    gradients, made, total = torch.zeros_like(state.log_p, dtype=torch.long), 0, BURN_IN + num_draws
    try:
        for index, random in _randomness(densities, tuned, numbers, moves.schedule, total):
            states, info = stretch(state, random, moves, index)
            state = states.of_draw(-1)
            gradients += info.n_steps[0]
            if index >= BURN_IN:  # a multiple of all periods: no stretch lies on both sides of it
                place = slice(made, made + len(states.u))
                u[place] = states.u
                for name, value in info._asdict().items():
                    stats[name][place] = value
                made = place.stop
            tick(len(states.u) * len(state.u))
    except Spent:
        if made < LEAST_DRAWS:
            raise
    stats = {name: value[:made] for name, value in stats.items()}
    stats["step_size"] = tuned.kernel.step_size.expand(made, -1, -1)
    return Chains(u[:made], stats, gradients.sum(0), moves.schedule.tries * len(state.u) * total)


def stretch(state: State, randomness: Randomness, moves: Moves, index: int) -> tuple[State, Info]:
    """Make n draws of every chain, of which the first begins with an HMC move of the data that are due.

    Every draw ends with jumps; both kinds of moves leave p(z | x) as it is.

    Args:
        state: where the chains are.
        randomness: momenta, uniforms and proposals of the n draws; no HMC move may be due at any but the first.
        moves: the frozen moves, and when each datum makes them.
        index: of the first draw, counted from the first one that is thrown away.

    Returns:
        The state after each draw, `[n, C, B]`, and what happened.
    """
    moved = moves.hmc(state, randomness.momentum[0], randomness.uniform[0], index)
    num_draws = len(randomness.uniform)
    acceptance = torch.zeros_like(randomness.kinetic)
    if randomness.proposals is None:
        states = State(*(value.expand(num_draws, *value.shape) for value in moved.state))
    else:
        states, acceptance = jump(moved.state, randomness.proposals, moves.schedule.tries)
    first = torch.where(moved.num_steps > 0, moved.acceptance, acceptance[0])
    still = torch.zeros_like(acceptance[1:])
    return states, Info(
        lp=states.log_p,
        energy=randomness.kinetic - torch.cat([state.log_p[None], states.log_p[:-1]]),
        acceptance_rate=torch.cat([first[None], acceptance[1:]]),
        n_steps=torch.cat([moved.num_steps[None], still.long()]),
        diverging=torch.cat([moved.diverging[None], still.bool()]),
    )


def _room(num_draws: int, state: State) -> tuple[Tensor, dict[str, Tensor]]:
    """Tensors for positions `[T, C, B, D]` and the fields of `Info` `[T, C, B]`, made once."""
    kinds = {"n_steps": torch.long, "diverging": torch.bool}
    blank = state.u.new_empty(num_draws, *state.u.shape)
    return blank, {name: torch.empty_like(blank[..., 0], dtype=kinds.get(name)) for name in Info._fields}


def _randomness(
    densities: Densities, tuned: Tuned, numbers: RandomNumbers, schedule: Schedule, total: int
) -> Iterator[tuple[int, Randomness]]:
    """The random numbers of `total` draws, stretch by stretch, each with its first draw's index.

    They are made in blocks of bounded size; an HMC move is due at no draw of a stretch but the first.
    """
    num_chains, num_data, dim = tuned.point.u.shape
    num_tries, stride = schedule.most_tries, int(schedule.period.min())
    each = num_chains * max(num_tries, 1)  # evaluations of a draw
    unit = max(1, densities.slice_of_record(num_data) // each)  # whole records, where a draw is no more than one
    most = max(unit, densities.slice_of(num_data) // each // unit * unit)
    block = -(-total // -(-total // most))  # blocks alike: what is made beyond the last draw is paid for
    block = -(-block // unit) * unit
    for begin in range(0, total, block):
        count, first = min(block, total - begin), begin * num_chains
        momenta = numbers.normal("momentum", count * num_chains, dim, first).unflatten(0, (count, num_chains))
        uniforms = numbers.uniform("accept", count * num_chains, first).unflatten(0, (count, num_chains))
        proposals = None
        if num_tries:  # a whole block of them at the end too, so that one record serves all blocks
            shape = (block, num_chains)
            proposals = propose(densities, tuned.mixture, numbers, num_tries=num_tries, shape=shape, first=first)
        random = Randomness(momenta, kinetic(momenta), uniforms, proposals)
        index = begin
        while index < begin + count:
            end = min(index // stride * stride + stride, begin + count)
            yield index, random.of_draws(index - begin, end - begin)
            index = end
