"""The exact posterior and q on a mesh over one or two latents, and their regions of highest density."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from elbowroom.inference import Comparison, Target
from elbowroom.inference.evaluation.budget import cells_within
from elbowroom.inference.evaluation.scalars import by_site

_WINDOW, _FINE, _QUANTILES = 60, 41, 40  # points along an axis: over all, over each density, at exact quantiles
_REACH = 1.6  # how far beyond its outermost quantiles a density is shown, in distances from the 5 % one
_FLOOR = -80.0  # nats below the maximum: contours are interpolated between finite numbers


@dataclass(frozen=True)
class Mesh:
    """Log densities on a rectangular mesh, finer where densities are.

    Attributes:
        axes: the points along each latent.
        log_p: log p(z|x) up to a constant, one array dimension for each latent, nats; None if it has no density here.
        log_q: log q(z|x), the same; None where the guide's density at a point is unknown.
    """

    axes: tuple[np.ndarray, ...]
    log_p: np.ndarray | None
    log_q: np.ndarray | None


def meshes(target: Target, comparison: Comparison) -> list[Mesh]:
    """A mesh for each datum of a comparison with one or two scalar latents."""
    part = target.select(comparison.data) if target.sliceable else target
    axes = [[_axis(comparison, b, n) for n in range(len(comparison.latents))] for b in range(len(comparison.data))]
    points = [torch.cartesian_prod(*along).reshape(-1, len(along)) for along in axes]
    longest = max(len(p) for p in points)
    padded = torch.stack([torch.cat([p, p[-1:].expand(longest - len(p), -1)]) for p in points], 1)  # [M, B, N]
    log_p, log_q = _densities(part, padded)
    shapes = [tuple(len(a) for a in along) for along in axes]

    def on_mesh(values: Tensor | None, b: int) -> np.ndarray | None:
        if values is None or not bool(values[: len(points[b]), b].isfinite().any()):
            return None
        return _clamped(values[: len(points[b]), b].reshape(shapes[b]).numpy())

    return [
        Mesh(tuple(a.numpy() for a in axes[b]), on_mesh(log_p, b), on_mesh(log_q, b))
        for b in range(len(comparison.data))
    ]


def extent(mesh: Mesh, level_p: float | None, level_q: float | None) -> list[tuple[float, float]]:
    """Along each latent, the bounding box of the regions above these levels; the whole mesh without any."""
    inside = np.zeros([len(points) for points in mesh.axes], dtype=bool)
    for density, level in ((mesh.log_p, level_p), (mesh.log_q, level_q)):
        if density is not None and level is not None:
            inside |= density >= level
    if not inside.any():
        return [(float(points[0]), float(points[-1])) for points in mesh.axes]
    where = [points[index] for points, index in zip(mesh.axes, np.nonzero(inside), strict=True)]
    return [(float(points.min()), float(points.max())) for points in where]


def region_levels(mesh: Mesh, log_density: np.ndarray, masses: tuple[float, ...]) -> list[float]:
    """The log density at the edge of each region of highest density, for masses such as 0.5 and 0.95 of the mesh's."""
    cell = np.ones(())
    for points in mesh.axes:
        cell = np.multiply.outer(cell, np.gradient(points))
    values = log_density.ravel()
    weight = np.exp(values - values.max()) * cell.ravel()
    order = np.argsort(-values)
    covered = np.cumsum(weight[order]) / weight.sum()
    return [float(values[order][np.searchsorted(covered, mass)]) for mass in masses]


def normalised(mesh: Mesh, log_density: np.ndarray) -> np.ndarray:
    """The density over a mesh of one latent, of unit area."""
    density = np.exp(log_density - log_density.max())
    area = np.sum((density[1:] + density[:-1]) / 2 * np.diff(mesh.axes[0]))  # NumPy 1 and 2 name the rule differently
    return density / area


def _axis(comparison: Comparison, b: int, n: int) -> Tensor:
    """Points along latent n that reach over every method's mass, denser where the exact posterior and q are."""
    spans = {}
    for method, posterior in comparison.posteriors.items():
        grid = posterior.grid[:, b, n]
        tail = len(grid) // 20
        below = grid[0] - _REACH * (grid[tail] - grid[0])
        spans[method] = torch.stack([below, grid[-1] + _REACH * (grid[-1] - grid[-1 - tail])])
    spans.pop("importance", None)  # its draws are q's
    window = torch.stack(list(spans.values()))
    pieces = [torch.linspace(float(window.min()), float(window.max()), _WINDOW, dtype=torch.float64)]
    for method, (low, high) in spans.items():
        if method in ("guide", "quadrature"):  # the others' draws are dots
            pieces.append(torch.linspace(float(low), float(high), _FINE, dtype=torch.float64))
    if "quadrature" in comparison.posteriors:
        grid = comparison.posteriors["quadrature"].grid[:, b, n]
        pieces.append(grid[:: max(1, len(grid) // _QUANTILES)])
    return torch.cat(pieces).unique()


def _densities(target: Target, z: Tensor) -> tuple[Tensor, Tensor | None]:
    """log p(x, z) and log q(z|x) at points `[M, B, N]`: `[M, B]`, None for q if its density is unknown."""
    cells = cells_within(target, copies=3)
    log_p, log_q = [], []
    has_log_q = True
    with torch.no_grad():
        for piece in z.split(max(1, cells // len(target))):
            values = by_site(target, piece)
            prior, likelihood = target.log_joint(values)
            log_p.append((prior + likelihood).double().cpu())
            if has_log_q:
                try:
                    log_q.append(target.log_guide(values).double().cpu())
                except NotImplementedError:
                    has_log_q = False
    return torch.cat(log_p), torch.cat(log_q) if has_log_q else None


def _clamped(log_density: np.ndarray) -> np.ndarray:
    """Nothing further below the maximum than contours need, −∞ and NaN among it."""
    finite = np.where(np.isfinite(log_density), log_density, -np.inf)
    return np.maximum(finite, finite.max() + _FLOOR)
