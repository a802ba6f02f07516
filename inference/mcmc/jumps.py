"""Independence moves of every chain of every datum: jumps to draws of a mixture, which lead from mode to mode."""

from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.mcmc.mixture import Mixture


class State(NamedTuple):
    """Positions of the chains, and what the next move needs to know there.

    Attributes:
        u: positions, `[C, B, D]`.
        log_p: log density, `[C, B]`, nats.
        log_w: log weight p/q under the mixture that jumps are proposed from, `[C, B]`, nats.
    """

    u: Tensor
    log_p: Tensor
    log_w: Tensor

    def at(self, index: Tensor) -> "State":
        """Of states `[N, C, B]` the one that each chain's index `[n, C, B]` names."""
        u = self.u.gather(0, index.unsqueeze(-1).expand(*index.shape, self.u.shape[-1]))
        return State(u, self.log_p.gather(0, index), self.log_w.gather(0, index))

    def of_draw(self, n: int) -> "State":
        """The state of one draw, of states `[n, C, B]`."""
        return State(self.u[n], self.log_p[n], self.log_w[n])


class Proposals(NamedTuple):
    """The places that J tries to jump would lead to, and the uniform numbers of their accept decisions.

    Attributes:
        state: positions `[J, n, C, B, D]`, their log densities and log weights `[J, n, C, B]`, of n draws.
        log_uniform: logarithms of uniform numbers, `[J, n, C, B]`.
    """

    state: State
    log_uniform: Tensor

    def of_draws(self, begin: int, end: int) -> "Proposals":
        """The proposals of some draws of a block, `[J, end − begin, C, B]`."""
        return Proposals(State(*(value[:, begin:end] for value in self.state)), self.log_uniform[:, begin:end])


def propose(
    densities: Densities,
    mixture: Mixture,
    numbers: RandomNumbers,
    *,
    num_tries: int,
    shape: tuple[int, int],
    first: int,
) -> Proposals:
    """Propose all jumps of a block of draws, `[J, n, C, B]`, in one evaluation.

    Args:
        densities: the log density in u.
        mixture: q, what is proposed from.
        numbers: the random numbers; try j of a draw has its own, whatever J is.
        num_tries: J.
        shape: draws of the block and chains, (n, C).
        first: index of the block's first (draw, chain).
    """
    count, dim = shape[0] * shape[1], mixture.mean.shape[-1]
    names = [f"jump {j}" for j in range(num_tries)]
    normal = torch.cat([numbers.normal(f"{name}: normal", count, dim, first) for name in names])
    component, width, uniform = (
        torch.cat([numbers.uniform(f"{name}: {what}", count, first) for name in names])
        for what in ("component", "width", "accept")
    )
    u = mixture.sample(normal, component, width)
    log_p = densities.log_joint(u).nan_to_num(-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
    log_w = log_p - mixture.log_density(u)
    u, log_p, log_w, log_uniform = (t.unflatten(0, (num_tries, *shape)) for t in (u, log_p, log_w, uniform.log()))
    return Proposals(State(u, log_p, log_w), log_uniform)


def jump(state: State, proposals: Proposals, tries: Tensor) -> tuple[State, Tensor]:
    """Independence Metropolis–Hastings, one try after the other (Tierney 1994, section 2.3.1), of n draws in a row.

    A proposal v is accepted at u with probability min(1, w(v) / w(u)), w = p / q: no gradient is needed, and where a
    chain stands is the last proposal that it accepted.

    Args:
        state: where the chains are.
        proposals: of J tries in each draw, `[J, n, C, B]`.
        tries: how many of them each datum makes, `[B]`.

    Returns:
        The state after each draw, `[n, C, B]`, and the acceptance probabilities of its first try, `[n, C, B]`.
    """
    num_tries = len(proposals.log_uniform)
    log_weights, log_uniforms = _in_turn(proposals.state.log_w), _in_turn(proposals.log_uniform)
    log_w, accepted_last = state.log_w, torch.zeros_like(state.log_w, dtype=torch.long)
    allowed = [tries > j for j in range(num_tries)]
    last, ratios = [], []
    for i, (proposed, log_uniform) in enumerate(zip(log_weights.unbind(), log_uniforms.unbind(), strict=True)):
        log_ratio = (proposed - log_w).nan_to_num(-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        accepted = (log_uniform < log_ratio) & allowed[i % num_tries]
        log_w = torch.where(accepted, proposed, log_w)
        accepted_last = torch.where(accepted, i + 1, accepted_last)
        if i % num_tries == 0:
            ratios.append(log_ratio)
        if (i + 1) % num_tries == 0:
            last.append(accepted_last)
    places = State(*(torch.cat([old[None], _in_turn(new)]) for old, new in zip(state, proposals.state, strict=True)))
    return places.at(torch.stack(last)), torch.stack(ratios).exp().clamp(max=1.0)


def _in_turn(proposed: Tensor) -> Tensor:
    """Values of tries `[J, n, ...]` in the order in which they are made, `[n J, ...]`."""
    return proposed.transpose(0, 1).flatten(0, 1)
