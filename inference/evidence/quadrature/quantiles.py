"""Quantiles of one-dimensional marginals of a lattice."""

import numpy as np
import torch
from scipy.special import sici
from torch import Tensor

from elbowroom.inference.evidence.quadrature.lattice import Lattice


def marginal_quantiles(lattice: Lattice, origin: Tensor, levels: Tensor) -> Tensor:
    """Quantiles of each unconstrained coordinate's marginal, `[Q, B, D]`.

    Trapezoidal sums over planes k of mass m_k sample the marginal density; its sinc interpolant (Stenger 1993)
    integrates to F(x) = Σ_k m_k [½ + Si(π(x − x_k)/h)/π], which is as accurate as the lattice sum itself. Two Newton
    steps on F start from the monotone cubic Hermite interpolant between planes.
    """
    num_data, dim = lattice.spacing.shape
    weights = lattice.weights()
    columns = []
    for i in range(dim):  # at most three coordinates
        index = lattice.index[:, i]
        lowest = torch.full((num_data,), 2**62).scatter_reduce(0, lattice.datum, index, "amin")
        position = index - lowest[lattice.datum] + 2  # two empty planes on each side
        width = int(position.max()) + 3
        mass = torch.zeros(num_data, width, dtype=torch.float64)
        mass.view(-1).index_add_(0, lattice.datum * width + position, weights)
        place = _polish(mass, _invert(mass, levels), levels)
        first = origin[:, i] + lattice.spacing[:, i] * (lowest - 2)
        columns.append(first + lattice.spacing[:, i] * place)
    return torch.stack(columns, -1)


def _invert(mass: Tensor, levels: Tensor) -> Tensor:
    """Quantiles in units of planes, `[Q, B]`, from the cumulative sums with the Euler–Maclaurin end correction."""
    slope_of_density = torch.zeros_like(mass)
    slope_of_density[:, 1:-1] = (mass[:, 2:] - mass[:, :-2]) / 2
    cumulative = mass.cumsum(1) - mass / 2 - slope_of_density / 12  # at the planes, [B, W]
    monotone = cumulative.cummax(1).values
    wanted = levels.to(mass).expand(len(mass), -1).contiguous()  # [B, Q]
    plane = (torch.searchsorted(monotone, wanted) - 1).clamp(0, mass.shape[1] - 2)
    low, high = cumulative.gather(1, plane), cumulative.gather(1, plane + 1)
    slope_low, slope_high = mass.gather(1, plane), mass.gather(1, plane + 1)
    left, right = torch.zeros_like(wanted), torch.ones_like(wanted)
    for _ in range(50):  # bisection on the Hermite cubic
        t = (left + right) / 2
        value = (
            (2 * t**3 - 3 * t**2 + 1) * low
            + (t**3 - 2 * t**2 + t) * slope_low
            + (3 * t**2 - 2 * t**3) * high
            + (t**3 - t**2) * slope_high
        )
        left, right = torch.where(value < wanted, t, left), torch.where(value < wanted, right, t)
    return (plane + (left + right) / 2).T


def _polish(mass: Tensor, place: Tensor, levels: Tensor) -> Tensor:
    """Newton steps on the integrated sinc interpolant; a step is never longer than half a plane."""
    planes = torch.arange(mass.shape[1], dtype=mass.dtype)
    for _ in range(2):
        offset = place.unsqueeze(-1) - planes  # [Q, B, W]
        sine_integral = torch.from_numpy(np.asarray(sici(np.pi * offset.numpy())[0]))
        excess = (mass * (0.5 + sine_integral / torch.pi)).sum(-1) - levels.to(mass).unsqueeze(-1)
        density = (mass * torch.special.sinc(offset)).sum(-1).clamp_min(1e-12)
        place = place - (excess / density).clamp(-0.5, 0.5)
    return place
