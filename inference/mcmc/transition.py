"""One HMC transition of every chain of every datum, each with its own accept decision."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.mcmc.leapfrog import Density, Point, integrate, kinetic

DIVERGENCE = 1000.0
"""A trajectory whose energy rises by more than this many nats has left the posterior (Stan's threshold)."""


@dataclass(frozen=True)
class Kernel:
    """The numbers of an HMC kernel; frozen after warm-up.

    Attributes:
        step_size: ε, `[C, B]`, in units of `scale`.
        length: trajectory length L·ε, `[B]`, in units of `scale`.
        scale: standard deviations, `[B, D]`, or Cholesky factors of the covariance, `[B, D, D]`.
        max_steps: leapfrog steps of one transition at most, `[B]` or one number.
    """

    step_size: Tensor
    length: Tensor
    scale: Tensor
    max_steps: Tensor | int = 64

    def select(self, data: Tensor) -> "Kernel":
        """The kernel of some of the data."""
        most = self.max_steps[data] if isinstance(self.max_steps, Tensor) else self.max_steps
        return Kernel(self.step_size[:, data], self.length[data], self.scale[data], most)

    def num_steps(self, jitter: Tensor | float) -> Tensor:
        """⌈jitter · length / ε⌉ leapfrog steps, `[C, B]`: at least one."""
        steps = (jitter * self.length / self.step_size).ceil()
        return torch.minimum(steps.nan_to_num(1.0), torch.as_tensor(self.max_steps).to(steps)).clamp_min(1).long()


@dataclass(frozen=True)
class Move:
    """A transition, as far as a diagnostic needs to know it, `[C, B]` each.

    Attributes:
        acceptance: min(1, exp(−ΔH)).
        accepted: whether the chain moved to the proposal.
        num_steps: leapfrog steps, each a gradient evaluation.
        diverging: whether the energy error exceeded 1000 nats or was not finite.
        proposal: the end of the trajectory.
        velocity: the momentum there, `[C, B, D]`.
    """

    acceptance: Tensor
    accepted: Tensor
    num_steps: Tensor
    diverging: Tensor
    proposal: Point
    velocity: Tensor


def transition(
    density: Density, point: Point, kernel: Kernel, momentum: Tensor, uniform: Tensor, jitter: Tensor | float = 1.0
) -> tuple[Point, Move]:
    """Hamiltonian Monte Carlo (Neal 2011, figure 2) on [chains, data].

    Args:
        density: log density and gradient.
        point: where the chains are.
        kernel: step sizes, lengths and scales.
        momentum: standard normal numbers, `[C, B, D]`.
        uniform: uniform numbers of the accept decisions, `[C, B]`.
        jitter: factor of the trajectory length, one number or `[B]`; chosen without regard to the chains' states.

    Returns:
        The new points and what happened.
    """
    num_steps = kernel.num_steps(jitter)
    proposal, velocity = integrate(density, point, momentum, kernel.step_size, num_steps, kernel.scale)
    before = kinetic(momentum) - point.log_p
    after = kinetic(velocity) - proposal.log_p
    change = (after - before).nan_to_num(torch.inf, posinf=torch.inf, neginf=-torch.inf)
    acceptance = (-change).exp().clamp(max=1.0)
    accepted = uniform < acceptance
    move = Move(
        acceptance=acceptance,
        accepted=accepted,
        num_steps=num_steps,
        diverging=change > DIVERGENCE,
        proposal=proposal,
        velocity=velocity,
    )
    return proposal.where(accepted, point), move
