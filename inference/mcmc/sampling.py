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
from elbowroom.inference.mcmc.moves import SELDOM, Moves
from elbowroom.inference.mcmc.warmup import Tuned
from elbowroom.inference.progress import Tick

BURN_IN = 2 * SELDOM
"""Draws thrown away after warm-up: until then there were no jumps."""

LEAST_DRAWS = 50
"""Draws of each chain with which chains may end where a budget does: fewer say nothing of how they mix."""


class Info(NamedTuple):
    """What a diagnostic needs to know of a draw, `[C, B]` each.

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
    """The random numbers of one draw.

    Attributes:
        momentum: standard normals, `[C, B, D]`.
        kinetic: their kinetic energies, `[C, B]`, nats.
        uniform: uniforms of the HMC moves' accept decisions, `[C, B]`.
        proposals: where jumps may lead; None where no datum jumps.
    """

    momentum: Tensor
    kinetic: Tensor
    uniform: Tensor
    proposals: Proposals | None


def sample(densities: Densities, tuned: Tuned, numbers: RandomNumbers, num_draws: int, tick: Tick) -> Chains:
    """Make `num_draws` draws of every chain, after a few that are thrown away since jumps have only just begun.

    Where a budget ends, the draws that have been made are kept: the moves are frozen, so those to come change none.

    Raises:
        Spent: if a budget ends before there are `LEAST_DRAWS`.
    """
    moves, point = Moves.of(densities, tuned), tuned.point
    state = State(point.u, point.log_p, point.log_p - tuned.mixture.log_density(point.u))
    u, stats = _room(num_draws, state)
    gradients, made = torch.zeros_like(state.log_p, dtype=torch.long), 0  # [C, B]
    randomness = _randomness(densities, tuned, numbers, moves.schedule.most_tries, BURN_IN + num_draws)
    try:
        for index, random in enumerate(randomness):
            state, info = step(state, random, moves, index)
            gradients += info.n_steps
            if index >= BURN_IN:
                u[made] = state.u
                for name, value in info._asdict().items():
                    stats[name][made] = value
                made += 1
            tick(len(state.u))
    except Spent:
        if made < LEAST_DRAWS:
            raise
    stats = {name: value[:made] for name, value in stats.items()}
    stats["step_size"] = tuned.kernel.step_size.expand(made, -1, -1)
    return Chains(u[:made], stats, gradients.sum(0), moves.schedule.tries * len(state.u) * (BURN_IN + num_draws))


def step(state: State, randomness: Randomness, moves: Moves, index: int) -> tuple[State, Info]:
    """Make one draw of every chain: an HMC move of the data that are due, then jumps; both leave p(z | x) as it is.

    Args:
        state: where the chains are.
        randomness: momenta, uniforms and proposals.
        moves: the frozen moves, and when each datum makes them.
        index: of the draw, counted from the first one that is thrown away.

    Returns:
        The new state and what happened.
    """
    energy = randomness.kinetic - state.log_p
    state, acceptance, num_steps, diverging = moves.hmc(state, randomness.momentum, randomness.uniform, index)
    if randomness.proposals is not None:
        state, first = jump(state, randomness.proposals, moves.schedule.tries)
        acceptance = torch.where(num_steps > 0, acceptance, first) if moves.are_due(index) else first
    return state, Info(state.log_p, energy, acceptance, num_steps, diverging)


def _room(num_draws: int, state: State) -> tuple[Tensor, dict[str, Tensor]]:
    """Tensors for positions `[T, C, B, D]` and the fields of `Info` `[T, C, B]`, made once."""
    kinds = {"n_steps": torch.long, "diverging": torch.bool}
    blank = state.u.new_empty(num_draws, *state.u.shape)
    return blank, {name: torch.empty_like(blank[..., 0], dtype=kinds.get(name)) for name in Info._fields}


def _randomness(
    densities: Densities, tuned: Tuned, numbers: RandomNumbers, num_tries: int, total: int
) -> Iterator[Randomness]:
    """The random numbers of `total` draws in turn, made in blocks of bounded size."""
    num_chains, num_data, dim = tuned.point.u.shape
    each = num_chains * max(num_tries, 1)  # evaluations of a draw
    unit = max(1, densities.slice_of_record(num_data) // each)  # whole records, where a draw is no more than one
    most = max(unit, densities.slice_of(num_data) // each // unit * unit)
    block = -(-total // -(-total // most))  # blocks alike: what is made beyond the last draw is paid for
    block = -(-block // unit) * unit
    for begin in range(0, total, block):
        count, first = min(block, total - begin), begin * num_chains
        momenta = numbers.normal("momentum", count * num_chains, dim, first).unflatten(0, (count, num_chains))
        uniforms = numbers.uniform("accept", count * num_chains, first).unflatten(0, (count, num_chains))
        energies = kinetic(momenta)
        proposals = None
        if num_tries:  # a whole block of them at the end too, so that one record serves all blocks
            shape = (block, num_chains)
            proposals = propose(densities, tuned.mixture, numbers, num_tries=num_tries, shape=shape, first=first)
        for n in range(count):
            yield Randomness(momenta[n], energies[n], uniforms[n], proposals.at(n) if proposals else None)
