"""One bridge: a proposal fitted to one part of the chains, and another part bridged to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.bridge.error import BridgeError, relative_error
from elbowroom.inference.evidence.bridge.fixed_point import optimal_bridge
from elbowroom.inference.evidence.bridge.proposals import PROPOSALS
from elbowroom.inference.evidence.bridge.tails import Tails, tails
from elbowroom.inference.mcmc.effective_size import effective_sample_size


class Bridged(NamedTuple):
    """A bridge of each of some data, `[B]` each."""

    log_r: Tensor
    num_iterations: Tensor
    converged: Tensor
    error: BridgeError
    tails: Tails


@dataclass(frozen=True)
class Chains:
    """Posterior draws of some data in unconstrained coordinates, and what bridging them takes.

    Attributes:
        coordinates: of these data.
        u: `[C, T, B, D]`, float64.
        log_joint: log p(x, T(u)) + log |det dT/du| at those of the draws that are bridged, `[C, T, B]`, nats.
        plan: how much is evaluated at once.
        proposal, seed: as in `bridge`.
    """

    coordinates: Coordinates
    u: Tensor
    log_joint: Tensor
    plan: Plan
    proposal: str
    seed: int

    @classmethod
    def of(
        cls, coordinates: Coordinates, z: dict[str, Tensor], first: int, plan: Plan, proposal: str, seed: int
    ) -> "Chains":
        """From draws of the latents; the joint density is evaluated from draw `first` of each chain on."""
        num_chains = len(next(iter(z.values())))
        u = _unconstrained(coordinates, {name: v.flatten(0, 1) for name, v in z.items()}, plan)
        u = u.unflatten(0, (num_chains, -1))
        log_joint = u.new_full(u.shape[:3], torch.nan)
        some = _in_ranges(coordinates.log_joint, u[:, first:].flatten(0, 1), coordinates, plan)
        log_joint[:, first:] = some.unflatten(0, (num_chains, -1))
        return cls(coordinates, u, log_joint, plan, proposal, seed)

    def bridge(self, fitted: Sequence[slice], bridged: Sequence[slice], split: int = 0) -> Bridged:
        """Fit a proposal to some blocks of each chain and bridge others to it; each `split` has numbers of its own."""
        fit = torch.cat([self.u[:, block] for block in fitted], 1)
        second = torch.cat([self.u[:, block] for block in bridged], 1)
        log_joint = torch.cat([self.log_joint[:, block] for block in bridged], 1).flatten(0, 1)
        make = PROPOSALS[self.proposal]
        g = make(self.coordinates, fit.flatten(0, 1), len(log_joint), self.seed, self.plan, split)

        def log_g(u: Tensor) -> Tensor:
            return _in_ranges(g.log_density, u, self.coordinates, self.plan, g.dtype)

        posterior = log_joint - log_g(second.flatten(0, 1))
        other = _in_ranges(self.coordinates.log_joint, g.draws, self.coordinates, self.plan) - log_g(g.draws)
        # Far out, a program may overflow: no mass there.
        other = other.nan_to_num(-torch.inf, torch.inf, -torch.inf)
        # Correlated draws count as fewer: N_1 is their effective number, that of the worst latent.
        effective = effective_sample_size(second).amin(-1)
        effective = effective.nan_to_num(1.0).clamp(1, len(posterior))
        log_r, num_iterations, converged = optimal_bridge(posterior, other, effective)
        error = relative_error(posterior, other, log_r=log_r, effective=effective, num_chains=len(self.u))
        seen = tails(posterior, other, log_r=log_r, effective=effective, ess=error.ess)
        return Bridged(log_r, num_iterations, converged, error, seen)


def _in_ranges(
    log_density: Callable[[Tensor], Tensor],
    u: Tensor,
    coordinates: Coordinates,
    plan: Plan,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """A log density at u `[N, B, D]` in pieces, in a dtype (the programs' by default), as `[N, B]` in float64."""
    device, dtype = coordinates.target.device, dtype or coordinates.target.dtype
    return torch.cat([log_density(u[piece].to(device, dtype)).double() for piece in _ranges(plan, len(u))])


def _ranges(plan: Plan, size: int) -> list[slice]:
    return [slice(start, start + count) for start, count in plan.sample_ranges(size)]


def _unconstrained(coordinates: Coordinates, z: dict[str, Tensor], plan: Plan) -> Tensor:
    """Draws `[N, B, ...]` as u `[N, B, D]`, float64."""
    device, size = coordinates.target.device, len(next(iter(z.values())))
    z = {name: value.to(device) for name, value in z.items()}
    if coordinates.real:
        return coordinates.pack(z).double()
    pieces = _ranges(plan, size)
    return torch.cat([coordinates.unconstrain({n: v[piece] for n, v in z.items()}).double() for piece in pieces])
