"""Hamiltonian trajectories of many chains on many data at once, each with its own step size and length."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.mcmc.metric import pull, stretch

Density = Callable[[Tensor], tuple[Tensor, Tensor]]
"""u `[C, B, D]` to log density `[C, B]` and its gradient `[C, B, D]`; entry [c, b] depends on u[c, b] alone."""


@dataclass(frozen=True)
class Point:
    """Positions of the chains, and what the next step needs to know there.

    Attributes:
        u: positions, `[C, B, D]`.
        log_p: log density, `[C, B]`, nats; −∞ outside the support.
        gradient: its gradient in u, `[C, B, D]`; zero where it is not finite.
    """

    u: Tensor
    log_p: Tensor
    gradient: Tensor

    def where(self, chosen: Tensor, other: "Point") -> "Point":
        """This point where `chosen` `[C, B]`, the other one elsewhere."""
        wide = chosen.unsqueeze(-1)
        return Point(
            torch.where(wide, self.u, other.u),
            torch.where(chosen, self.log_p, other.log_p),
            torch.where(wide, self.gradient, other.gradient),
        )


def evaluate(density: Density, u: Tensor) -> Point:
    """The point at u; a NaN density counts as zero probability."""
    log_p, gradient = density(u)
    return Point(u, log_p.nan_to_num(-torch.inf, posinf=-torch.inf, neginf=-torch.inf), _finite(gradient))


def integrate(
    density: Density, start: Point, momentum: Tensor, step_size: Tensor, num_steps: Tensor, scale: Tensor
) -> tuple[Point, Tensor]:
    """Leapfrog steps of H(u, r) = −log p(u) + ½ |r|², with positions measured in units of `scale`.

    Half a kick, `num_steps` drifts with full kicks between them, half a kick (Neal 2011, section 5.2.3.3). Chains that
    need fewer steps than others stand still for the rest, so the result of a chain does not depend on the others.

    Args:
        density: log density and gradient.
        start: where the trajectories begin.
        momentum: r, standard normal, `[C, B, D]`.
        step_size: ε, `[C, B]`.
        num_steps: `[C, B]`, integers.
        scale: standard deviations `[B, D]` or Cholesky factors `[B, D, D]`; the inverse mass matrix is their square.

    Returns:
        The last points and their momenta.
    """
    longest = int(num_steps.max())
    step = step_size.unsqueeze(-1)  # [C, B, 1]
    point, r = start, momentum + 0.5 * step * pull(scale, start.gradient)
    shortest = int(num_steps.min())
    for n in range(1, longest + 1):
        moved = evaluate(density, point.u + step * stretch(scale, r))
        # The last kick of a chain is a half one.
        share = torch.where(num_steps == n, 0.5 * step_size, step_size).unsqueeze(-1)
        kicked = r + share * pull(scale, moved.gradient)
        if n <= shortest:
            point, r = moved, kicked
        else:
            running = num_steps >= n
            point, r = moved.where(running, point), torch.where(running.unsqueeze(-1), kicked, r)
    return point, r


def kinetic(momentum: Tensor) -> Tensor:
    """½ |r|², `[C, B]`."""
    return 0.5 * momentum.square().sum(-1)


def _finite(gradient: Tensor) -> Tensor:
    return gradient.nan_to_num(0.0, posinf=0.0, neginf=0.0)
