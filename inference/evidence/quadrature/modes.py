"""Local maxima of a density over few unconstrained coordinates, with their curvature, for every datum at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

LogDensity = Callable[[Tensor], Tensor]
"""u `[S, B, D]` to log density `[S, B]`, differentiable in u."""


@dataclass(frozen=True)
class Modes:
    """K candidate modes for each of B data.

    Attributes:
        u: where they are, `[K, B, D]`.
        log_density: how high, `[K, B]`.
        scale: standard deviation of each coordinate given the others, 1/√(−∂²/∂u_i²) there, `[K, B, D]`; +∞ where the
            density is not concave.
    """

    u: Tensor
    log_density: Tensor
    scale: Tensor

    def finest(self, depth: float) -> Tensor:
        """The smallest scale of each coordinate over the modes within `depth` nats of the best, `[B, D]`."""
        counts = self.log_density >= self.log_density.amax(0) - depth
        return torch.where(counts.unsqueeze(-1), self.scale, torch.inf).amin(0)

    def distinct(self, depth: float) -> Tensor:
        """How many modes within `depth` nats of the best lie more than one scale apart, `[B]`."""
        counts = self.log_density >= self.log_density.amax(0) - depth
        new = torch.zeros_like(counts)
        for k in range(len(self.u)):  # K is about ten
            near = ((self.u[:k] - self.u[k]) / self.scale[k].clamp_max(1e6)).abs().amax(-1) < 1.0  # [k, B]
            new[k] = counts[k] & ~(near & new[:k]).any(0)
        return new.sum(0)


def climb(log_density: LogDensity, starts: Tensor, num_steps: int = 25) -> Modes:
    """Damped Newton ascent from every start, `[K, B, D]`; steps that do not climb are taken back.

    Levenberg–Marquardt damping: (−H + λ diag(1 + |H|)) d = g, λ divided by 4 after a success and multiplied by 6 after
    a failure.
    """
    u = starts.clone()
    value, gradient, hessian = _derivatives(log_density, u)
    damping = torch.full_like(value, 1e-2)
    eye = torch.eye(u.shape[-1], dtype=u.dtype, device=u.device)
    for _ in range(num_steps):
        stiffness = 1 + hessian.diagonal(dim1=-2, dim2=-1).abs()
        matrix = _concave(hessian) + damping[..., None, None] * stiffness.unsqueeze(-1) * eye
        step = torch.linalg.solve(matrix, gradient.unsqueeze(-1)).squeeze(-1)
        candidate = u + step.nan_to_num(0.0)
        new_value, new_gradient, new_hessian = _derivatives(log_density, candidate)
        better = new_value >= value
        u = torch.where(better.unsqueeze(-1), candidate, u)
        gradient = torch.where(better.unsqueeze(-1), new_gradient, gradient)
        hessian = torch.where(better[..., None, None], new_hessian, hessian)
        damping = torch.where(better, damping / 4, damping * 6)
        gain = torch.where(better, new_value - value, torch.zeros_like(value))
        value = torch.where(better, new_value, value)
        if not bool(((gain > 1e-9) | ~better).any()):
            break
    curvature = -hessian.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(curvature > 0, curvature.clamp_min(1e-300).rsqrt(), torch.inf)
    return Modes(u, value, scale)


def _derivatives(log_density: LogDensity, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value `[K, B]`, gradient `[K, B, D]` and Hessian `[K, B, D, D]`; cells are independent, so sums will do."""
    with torch.enable_grad():
        u = u.detach().requires_grad_(True)
        value = log_density(u).double()
        gradient = torch.zeros_like(u)
        if value.requires_grad:  # that of a uniform guide does not, on a support that is wider
            (gradient,) = torch.autograd.grad(value.sum(), u, create_graph=True)
        rows = []
        for i in range(u.shape[-1]):
            row = None
            if gradient.requires_grad:
                (row,) = torch.autograd.grad(gradient[..., i].sum(), u, retain_graph=True, allow_unused=True)
            rows.append(torch.zeros_like(u) if row is None else row)
    hessian = torch.stack(rows, -1)
    bad = ~torch.isfinite(value)
    value = torch.where(bad, -torch.inf, value).detach()
    return value, gradient.detach().nan_to_num(0.0), hessian.detach().nan_to_num(0.0)


def _concave(hessian: Tensor) -> Tensor:
    """−H with its negative eigenvalues turned positive, so that a Newton step always climbs."""
    values, vectors = torch.linalg.eigh(-hessian)
    return vectors * values.abs().clamp_min(1e-8).unsqueeze(-2) @ vectors.mT
