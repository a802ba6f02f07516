"""Expectations under a family: the ELBO, and the direction in which it grows."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.families.family import Family

Density = Callable[[Tensor], tuple[Tensor, Tensor]]
"""u `[S, B, D]` to log p(x, T(u)) + log |det dT/du| `[S, B]` and its gradient `[S, B, D]`, float64."""

FAR = -1e30
"""Stands for a log density of −∞, in nats, so that sums stay finite."""


@dataclass(frozen=True)
class Drawn:
    """Draws of a family, stratified over its components, and the path derivatives of log w there.

    With u = m_k + L_k ε, the path derivative is r = L_kᵀ ∇_u [log p(x, u) − log q(u)] with q held fixed ("sticking the
    landing", Roeder, Wu & Duvenaud 2017). E[r] is the ELBO's gradient in a shift of the mean by L_k, and
    E[r εᵀ] that in a change of L_k to L_k (I + ·), each divided by π_k. Both are zero draw by draw where q is exact.

    Attributes:
        noise: ε, `[S, B, K, D]`.
        log_w: log p(x, u) − log q(u), `[S, B, K]`, nats.
        path: r, `[S, B, K, D]`.
    """

    noise: Tensor
    log_w: Tensor
    path: Tensor

    def elbo(self, family: Family) -> Tensor:
        """Σ_k π_k log w of each draw, `[S, B]`, nats."""
        return (family.log_share.exp() * self.log_w).sum(-1)

    @property
    def shift(self) -> Tensor:
        """E[r], `[B, K, D]`."""
        return self.path.mean(0)

    @property
    def stretch(self) -> Tensor:
        """E[r_d ε_d], `[B, K, D]`: what a diagonal scale wants."""
        return (self.path * self.noise).mean(0)

    @property
    def shear(self) -> Tensor:
        """E[r εᵀ], `[B, K, D, D]`."""
        path, noise = (t.permute(1, 2, 3, 0) for t in (self.path, self.noise))  # [B, K, D, S]
        return path @ noise.mT / len(self.path)


def draw(density: Density, family: Family, noise: Tensor) -> Drawn:
    """Evaluate a family at ε `[S, B, K, D]`."""
    flat = family.at(noise).transpose(1, 2).flatten(0, 1)  # [S K, B, D]
    log_p, gradient_p = density(flat)
    log_q, gradient_q = family.log_density_and_gradient(flat)
    finite = log_p.isfinite()
    log_w = torch.where(finite, log_p - log_q, FAR)
    gradient = torch.where(finite.unsqueeze(-1), gradient_p - gradient_q, 0.0).nan_to_num(0.0, 0.0, 0.0)
    shape = (len(noise), family.num_components)
    path = family.pulled(gradient.unflatten(0, shape).transpose(1, 2))
    return Drawn(noise, log_w.unflatten(0, shape).transpose(1, 2), path)
