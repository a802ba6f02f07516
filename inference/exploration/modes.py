"""The modes that draws of chains and of q lead to, uphill."""

import torch
from torch import Tensor

from elbowroom.inference.diagnostics.agreement.ascent import ascend
from elbowroom.inference.evaluation.coordinates import Coordinates

_STARTS, _ROUNDS = 6, 3
"""Draws of each kind that climb, and how often thirty steps are taken."""

_APART = 0.5
"""Lengths within a mode that two ends must be apart to count as two modes."""

_SHALLOW = 12.0
"""Nats below the highest mode from which on one is not shown."""


def modes_of(coordinates: Coordinates, guide: Tensor, posterior: Tensor | None, cells: int) -> list[Tensor]:
    """The modes of each datum, highest first, `[J, D]` each; none without a gradient.

    Args:
        coordinates: of B data.
        guide: draws of q, `[S, B, D]`.
        posterior: draws of the posterior, `[K, B, D]`, or None.
        cells: points evaluated at once.
    """
    if coordinates.target.no_gradient:
        return [guide.new_zeros(0, coordinates.dim) for _ in range(len(coordinates.target))]
    clouds = [guide, *([] if posterior is None else [posterior])]
    picked = [cloud[torch.linspace(0, len(cloud) - 1, _STARTS).long()] for cloud in clouds]
    starts = torch.cat([guide.mean(0, keepdim=True), *picked])
    scale = torch.stack([cloud.std(0) for cloud in clouds]).amin(0).clamp_min(1e-9)
    for _ in range(_ROUNDS):
        starts, heights = ascend(coordinates, starts, scale, cells)
    return [_distinct(starts[:, b], heights[:, b], scale[b]) for b in range(starts.shape[1])]


def _distinct(ends: Tensor, heights: Tensor, scale: Tensor) -> Tensor:
    """Ends `[K, D]` that are apart from every higher one, highest first."""
    kept: list[Tensor] = []
    for k in heights.argsort(descending=True).tolist():
        if not bool(heights[k].isfinite()) or float(heights.max() - heights[k]) > _SHALLOW:
            break
        apart = [float(((ends[k] - other) / scale).square().mean().sqrt()) > _APART for other in kept]
        if all(apart):
            kept.append(ends[k])
    return torch.stack(kept) if kept else ends[:0]
