"""Pairwise panels of draws, for posteriors of three latents and more."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from scipy.stats import gaussian_kde

from elbowroom.inference import Comparison
from elbowroom.report.figures.style import DRAWS, EXACT_SHADES, GUIDE

GUIDE_MASSES = (0.5, 0.95)
_MOST_LATENTS, _MOST_DRAWS = 4, 400
_CONSTANT = 1e-12  # a spread, beside the value or 1, that is rounding only
_SMOOTHED, _MESH = 2000, 60  # draws and points a side of q's density


def draw_corner(panel: SubFigure, comparison: Comparison, b: int) -> Axes:
    """Marginals on the diagonal, pairs of latents below it; returns the axes at the top left."""
    latents = chosen_latents(comparison, b)
    size = len(latents)
    axes = panel.subplots(size, size, squeeze=False)
    for i, row in enumerate(latents):
        for j, column in enumerate(latents):
            ax = axes[i, j]
            if j > i:
                ax.set_visible(False)
                continue
            if i == j:
                _marginal(ax, comparison, b, row)
            else:
                _pair(ax, comparison, b, column, row)
            ax.set_xlim(*_limits(comparison, b, column))
            if i != j:
                ax.set_ylim(*_limits(comparison, b, row))
            ax.tick_params(labelbottom=i == size - 1, labelleft=i != j and j == 0)
            if i == size - 1:
                ax.set_xlabel(comparison.latents[column])
            if j == 0 and i > 0:
                ax.set_ylabel(comparison.latents[row])
    return axes[0, 0]


def chosen_latents(comparison: Comparison, b: int) -> list[int]:
    """All latents of up to four; else the four where q is furthest from the reference, in units of its sd.

    Without a reference those where q is narrowest, which the data say most about. What a support makes constant (zeros
    above the diagonal of a Cholesky factor) is left out.
    """
    guide = comparison.posteriors["guide"]
    varying = (guide.sd[b] > _CONSTANT * guide.mean[b].abs().clamp_min(1.0)).nonzero().flatten()
    if len(varying) <= _MOST_LATENTS:
        return varying.tolist() or list(range(len(comparison.latents)))
    score = -guide.sd[b]
    if comparison.reference is not None:
        score = comparison.wasserstein["guide"][b] / comparison.posteriors[comparison.reference].sd[b]
    return sorted(varying[score[varying].topk(_MOST_LATENTS).indices].tolist())


def _marginal(ax: Axes, comparison: Comparison, b: int, n: int) -> None:
    span = _limits(comparison, b, n)
    if "quadrature" in comparison.posteriors:
        grid = comparison.posteriors["quadrature"].grid[:, b, n].numpy()
        density = 1 / (len(grid) * np.maximum(np.diff(grid), 1e-12))  # the same mass between any two of its quantiles
        ax.fill_between((grid[1:] + grid[:-1]) / 2, density, color=EXACT_SHADES[1], linewidth=0)
    for method, color in (("guide", GUIDE), ("mcmc", DRAWS)):
        z = _draws(comparison, method, b)
        if z is not None:
            ax.hist(z[:, n], bins=30, range=span, density=True, histtype="step", color=color, linewidth=1.2)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def _pair(ax: Axes, comparison: Comparison, b: int, across: int, up: int) -> None:
    """MCMC draws as dots, q as regions of highest density of its draws."""
    z = _draws(comparison, "mcmc", b)
    if z is not None:
        z = z[:: max(1, len(z) // _MOST_DRAWS)]
        ax.plot(z[:, across], z[:, up], ".", color=DRAWS, markersize=2.5, markeredgewidth=0, alpha=0.55, gid="draws")
    q = comparison.guide_draws[:_SMOOTHED, b].double().numpy()[:, [across, up]]
    x, y = (np.linspace(*_limits(comparison, b, n), _MESH) for n in (across, up))
    if np.linalg.matrix_rank(np.cov(q.T)) < 2:  # no spread in some direction: no density
        ax.plot(q[:, 0], q[:, 1], ".", color=GUIDE, markersize=2.5, markeredgewidth=0)
        return
    kernel = gaussian_kde(q.T)
    density = kernel(np.stack(np.meshgrid(x, y)).reshape(2, -1)).reshape(_MESH, _MESH)
    levels = np.quantile(kernel(q.T), [1 - mass for mass in GUIDE_MASSES[::-1]])
    ax.contour(x, y, density, levels=levels, colors=GUIDE, linewidths=(1.0, 1.6))


def _draws(comparison: Comparison, method: str, b: int) -> np.ndarray | None:
    """Draws of q or of MCMC, `[S, N]`; None if there are none."""
    if method == "guide":
        return comparison.guide_draws[:, b].double().numpy()
    return None if comparison.draws is None else comparison.draws.flat[:, :, b].flatten(0, 1).double().cpu().numpy()


def _limits(comparison: Comparison, b: int, n: int) -> tuple[float, float]:
    """From the lowest to the highest 0.25 % quantile of every method, and a little beyond."""
    grids = [p.grid[:, b, n] for method, p in comparison.posteriors.items() if method != "importance"]
    low, high = min(float(g[0]) for g in grids), max(float(g[-1]) for g in grids)
    margin = 0.08 * max(high - low, 1e-9)
    return low - margin, high + margin
