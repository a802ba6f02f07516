"""The scale that positions are measured in: standard deviations `[B, D]`, or Cholesky factors `[B, D, D]`."""

import torch
from torch import Tensor

from elbowroom.inference.mcmc.rounding import on_grid

MAX_DENSE = 128
"""Above this many latents correlations are left alone: D² numbers a datum, from a few hundred draws, say little."""


def fit_scale(points: Tensor, effective: Tensor) -> Tensor:
    """The Cholesky factor of a covariance from points `[N, B, D]`, `[B, D, D]`; standard deviations where D > 128.

    Correlations are shrunk towards zero by the oracle-approximating rule (Chen, Wiesel, Eldar & Hero 2010, equation
    23) for `effective` `[B]` independent points.
    """
    dim = points.shape[-1]
    tiny = torch.finfo(points.dtype).tiny ** 0.25
    sd = points.std(0, correction=0).clamp_min(tiny)  # [B, D]
    if dim == 1 or dim > MAX_DENSE:
        return sd
    moves = sd > 1e-6 * points.abs().amax(0)  # else what is left after the mean is rounding
    x = torch.where(moves, (points - points.mean(0)) / sd, 0.0).transpose(0, 1)  # [B, N, D]
    correlation = x.mT @ x / len(points)
    correlation = correlation - torch.diag_embed(correlation.diagonal(dim1=-2, dim2=-1) - 1)  # also where sd is zero
    square = correlation.square().sum((-2, -1))  # tr(S²), at least D
    scarce = (1 - 2 / dim) * square + dim**2
    plenty = (effective + 1 - 2 / dim) * (square - dim).clamp_min(1e-12)
    shrink = torch.where(effective > 3, scarce / plenty, 1.0).clamp(1e-3, 1.0)[:, None, None]
    eye = torch.eye(dim, dtype=points.dtype, device=points.device)
    return sd.unsqueeze(-1) * torch.linalg.cholesky((1 - shrink) * correlation + shrink * eye)


def stretch(scale: Tensor, r: Tensor) -> Tensor:
    """Lengths from units of the scale: L r, of r `[C, B, D]`."""
    return r * scale if scale.dim() == 2 else (r.transpose(0, 1) @ scale.mT).transpose(0, 1)


def pull(scale: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in units of the scale: Lᵀ g, of g `[C, B, D]`."""
    return gradient * scale if scale.dim() == 2 else (gradient.transpose(0, 1) @ scale).transpose(0, 1)


def whiten(scale: Tensor, x: Tensor) -> Tensor:
    """Lengths in units of the scale: L⁻¹ x, of x `[C, B, D]`."""
    if scale.dim() == 2:
        return x / scale
    return torch.linalg.solve_triangular(scale, x.permute(1, 2, 0), upper=False).permute(2, 0, 1)


def rounded(scale: Tensor) -> Tensor:
    """The scale on a grid, each row in units of its own standard deviation."""
    return on_grid(scale, deviations(scale) if scale.dim() == 2 else deviations(scale).unsqueeze(-1))


def deviations(scale: Tensor) -> Tensor:
    """The standard deviation of each coordinate, `[B, D]`."""
    return scale if scale.dim() == 2 else scale.square().sum(-1).sqrt()


def size(scale: Tensor) -> Tensor:
    """The geometric mean of the scale over directions, |det L|^(1/D), `[B]`."""
    diagonal = scale if scale.dim() == 2 else scale.diagonal(dim1=-2, dim2=-1)
    return diagonal.log().mean(-1).exp()
