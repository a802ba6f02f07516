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

    def where(self, chosen: Tensor, other: "State") -> "State":
        """This state where `chosen` `[C, B]`, the other one elsewhere."""
        return State(
            torch.where(chosen.unsqueeze(-1), self.u, other.u),
            torch.where(chosen, self.log_p, other.log_p),
            torch.where(chosen, self.log_w, other.log_w),
        )


class Proposals(NamedTuple):
    """The places that J tries to jump would lead to, and the uniform numbers of their accept decisions.

    Attributes:
        state: positions `[J, ..., C, B, D]`, their log densities and log weights `[J, ..., C, B]`.
        log_uniform: logarithms of uniform numbers, `[J, ..., C, B]`.
    """

    state: State
    log_uniform: Tensor

    def at(self, n: int) -> "Proposals":
        """The proposals of draw n of a block `[J, n, C, B]`."""
        return Proposals(State(*(value[:, n] for value in self.state)), self.log_uniform[:, n])


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
    component, width, uniform = torch.cat([numbers.uniforms(name, count, 3, first) for name in names]).unbind(-1)
    u = mixture.sample(normal, component, width)
    log_p = densities.log_joint(u).nan_to_num(-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
    log_w = log_p - mixture.log_density(u)
    u, log_p, log_w, log_uniform = (t.unflatten(0, (num_tries, *shape)) for t in (u, log_p, log_w, uniform.log()))
    return Proposals(State(u, log_p, log_w), log_uniform)


def jump(state: State, proposals: Proposals, tries: Tensor) -> tuple[State, Tensor]:
    """Independence Metropolis–Hastings, one try after the other (Tierney 1994, section 2.3.1).

    A proposal v is accepted at u with probability min(1, w(v) / w(u)), w = p / q: no gradient is needed.

    Args:
        state: where the chains are.
        proposals: of J tries, `[J, C, B]`.
        tries: how many of them each datum makes, `[B]`.

    Returns:
        The new state, and the acceptance probabilities of the first try, `[C, B]`.
    """
    acceptance = torch.zeros_like(state.log_p)
    for j in range(len(proposals.log_uniform)):
        proposed = State(*(value[j] for value in proposals.state))
        log_ratio = (proposed.log_w - state.log_w).nan_to_num(-torch.inf, posinf=torch.inf, neginf=-torch.inf)
        if j == 0:
            acceptance = log_ratio.exp().clamp(max=1.0)
        accepted = (proposals.log_uniform[j] < log_ratio) & (tries > j)
        state = proposed.where(accepted, state)
    return state, acceptance
