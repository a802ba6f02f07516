"""The exact posterior, q and MCMC draws of each datum in one picture."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference import Comparison, Target
from elbowroom.report.figures.corner import GUIDE_MASSES, draw_corner
from elbowroom.report.figures.density_mesh import Mesh, extent, meshes, normalised, region_levels
from elbowroom.report.figures.images import as_images, value_range
from elbowroom.report.figures.style import DRAWS, EXACT, EXACT_SHADES, GUIDE, Picture, new_figure, styled
from elbowroom.report.records.number_format import plain

EXACT_MASSES = (0.5, 0.95, 0.999)
_PICTURE = 0.46  # inches of a datum's picture
_DEPTH = 7.0  # nats below its top at which the density of one latent is cut off
_MOST_DRAWS = 600  # shown of the MCMC draws of a datum
_DOTS: dict[str, Any] = {"markersize": 3, "markeredgewidth": 0, "alpha": 0.55}


@checked
def posterior_figure(
    target: Target,
    comparison: Comparison,
    data: Sequence[int] | int | None = None,
    *,
    images: Tensor | None = None,
    image_shape: Sequence[int] | None = None,
) -> Picture:
    """A panel for each datum: what the exact posterior is, what q takes it for, and where MCMC went.

    Two latents: regions of highest density of the exact posterior (50, 95, 99.9 %) in grey, of q (50, 95 %) as lines,
    MCMC draws as dots and the posterior's highest mode as a cross. One latent: the densities. Three or more: pairwise
    panels of draws, at most four latents, those where q is furthest from the reference.

    Args:
        target: the one that was compared, all of its data.
        comparison: from `compare`.
        data: which of the compared data (indices in the target; default: all).
        images: the compared data `[B, ...]`, in the comparison's order, drawn beside their titles.
        image_shape: (height, width), (height, width, 3) or (3, height, width) of these.

    Raises:
        ValueError: if a datum is not among the compared ones, or images and comparison do not fit.
    """
    shown = _positions(comparison, data)
    pictures = None
    if images is not None:
        if image_shape is None:
            raise ValueError("images need image_shape, such as (28, 28), to be drawn: give both, or none")
        if len(images) != len(comparison.data):
            raise ValueError(f"images: got {len(images)}, expected {len(comparison.data)}: x[comparison.data]")
        pictures = as_images("images", images, image_shape)
    num_latents = len(comparison.latents)
    mesh = meshes(target, comparison) if num_latents <= 2 else []
    columns = _columns(len(shown))
    rows = -(-len(shown) // columns)
    side = 4.1 if num_latents <= 2 else 5.4
    with styled():
        figure = new_figure(side * columns, (0.86 if num_latents <= 2 else 1.0) * side * rows + 0.7)
        panels = figure.subfigures(rows, columns, squeeze=False).ravel()
        for panel, b in zip(panels, shown, strict=False):
            if num_latents > 2:
                top = draw_corner(panel, comparison, b)
            else:
                top = panel.subplots()
                (_plane if num_latents == 2 else _line)(top, comparison, mesh[b], b)
            _title(panel, top, comparison, b, None if pictures is None else pictures[b])
        figure.legend(
            handles=_legend(comparison, num_latents), loc="outside lower center", ncols=5 if columns > 1 else 2,
            columnspacing=1.4,
        )  # fmt: skip
        figure.suptitle(_headline(comparison), x=0.01, ha="left")
    return figure


def _plane(ax: Axes, comparison: Comparison, mesh: Mesh, b: int) -> None:
    """Regions of two latents."""
    x, y = mesh.axes
    outermost_p = outermost_q = None
    if mesh.log_p is not None:
        levels = region_levels(mesh, mesh.log_p, EXACT_MASSES)[::-1]
        outermost_p = levels[0]
        ax.contourf(x, y, mesh.log_p.T, levels=_rising([*levels, mesh.log_p.max() + 1]), colors=EXACT_SHADES)
    z = None if comparison.draws is None else comparison.draws.flat[:, :, b].flatten(0, 1).double().cpu().numpy()
    if z is not None:
        some = z[:: max(1, len(z) // _MOST_DRAWS)]
        ax.plot(some[:, 0], some[:, 1], ".", color=DRAWS, gid="draws", **_DOTS)
    if mesh.log_q is not None:
        levels = region_levels(mesh, mesh.log_q, GUIDE_MASSES)[::-1]
        outermost_q = levels[0]
        ax.contour(x, y, mesh.log_q.T, levels=_rising(levels), colors=GUIDE, linewidths=(1.2, 1.9), linestyles="solid")
    else:
        some = comparison.guide_draws[:_MOST_DRAWS, b].numpy()
        ax.plot(some[:, 0], some[:, 1], ".", color=GUIDE, gid="guide", **_DOTS)
    if "quadrature" in comparison.evidence:
        mode = comparison.evidence["quadrature"].info["mode"][b].tolist()
        ax.plot(*mode, "x", color="white", markersize=9, markeredgewidth=3.5)
        ax.plot(*mode, "x", color=EXACT, markersize=8, markeredgewidth=1.6, gid="mode")
    spans = extent(mesh, outermost_p, outermost_q)
    for n, (low, high) in enumerate(spans):
        if z is not None:
            low, high = min(low, np.quantile(z[:, n], 0.002)), max(high, np.quantile(z[:, n], 0.998))
        margin = 0.04 * (high - low)
        (ax.set_ylim if n else ax.set_xlim)(low - margin, high + margin)
    ax.set_xlabel(comparison.latents[0])
    ax.set_ylabel(comparison.latents[1])


def _line(ax: Axes, comparison: Comparison, mesh: Mesh, b: int) -> None:
    """Densities of one latent."""
    (x,) = mesh.axes
    if mesh.log_p is not None:
        density = normalised(mesh, mesh.log_p)
        ax.fill_between(x, density, color=EXACT_SHADES[1], linewidth=0)
        ax.plot(x, density, color=EXACT_SHADES[2], linewidth=1, gid="exact")
    if comparison.draws is not None:
        z = comparison.draws.flat[:, :, b, 0].flatten().double().cpu().numpy()
        ax.hist(z, bins=40, range=(x[0], x[-1]), density=True, histtype="step", color=DRAWS, linewidth=1.1)
    if mesh.log_q is not None:
        ax.plot(x, normalised(mesh, mesh.log_q), color=GUIDE, linewidth=2, gid="guide")
    else:
        z = comparison.guide_draws[:, b, 0].numpy()
        ax.hist(z, bins=40, range=(x[0], x[-1]), density=True, histtype="step", color=GUIDE, linewidth=1.6)
    if "quadrature" in comparison.evidence:
        mode = comparison.evidence["quadrature"].info["mode"][b, 0].item()
        ax.plot([mode], [0], "x", color=EXACT, markersize=8, markeredgewidth=1.6, clip_on=False, zorder=5, gid="mode")
    levels = [None if log is None else float(log.max()) - _DEPTH for log in (mesh.log_p, mesh.log_q)]
    ax.set_xlim(*extent(mesh, *levels)[0])
    ax.set_ylim(bottom=0)
    ax.set_xlabel(comparison.latents[0])
    ax.set_ylabel("density")


def _title(panel: SubFigure, ax: Axes, comparison: Comparison, b: int, picture: np.ndarray | None) -> None:
    """Which datum, how far q is from its posterior, and what not to trust; its picture to the left."""
    room = plain(comparison.kl_q_p[b].item(), comparison.kl_q_p_stderr[b].item(), max_decimals=2)
    title = f"datum {comparison.data[b]}:  KL(q‖p) = {room} nats"
    if "quadrature" in comparison.evidence:
        modes = int(comparison.evidence["quadrature"].info["num_modes"][b])
        title += f", {modes} modes" if modes > 1 else ""
    doubts = []
    if comparison.evidence["importance"].flags[b]:
        doubts.append(rf"importance ($\hat{{k}}$ {comparison.evidence['importance'].info['pareto_k'][b]:.2f})")
    if comparison.draws is not None and comparison.draws.flags[b]:
        doubts.append(f"MCMC (R-hat {comparison.draws.convergence.rhat[b].max():.2f})")
    corner = panel.dpi_scale_trans + ScaledTranslation(0, 1, ax.transAxes)  # type: ignore[arg-type]  # inches from the axes' top left
    left = 0.0
    if picture is not None:
        left = _PICTURE + 0.1
        inset = ax.inset_axes((0.0, 0.09, _PICTURE, _PICTURE), transform=corner)
        low, high = value_range(picture)
        inset.imshow(picture, cmap="gray_r", vmin=low, vmax=high, interpolation="nearest", gid="datum")
        inset.set_xticks([])
        inset.set_yticks([])
        inset.spines[:].set_visible(True)
    # Not part of the layout: a long title must not make the axes narrower.
    place: dict[str, Any] = {"transform": corner, "va": "center", "fontsize": 9.5, "in_layout": False}
    ax.text(left, 0.36 if doubts else 0.3, title, **place)
    if doubts:
        ax.text(left, 0.19, f"untrusted: {', '.join(doubts)}", **(place | {"fontsize": 8, "color": GUIDE}))
    if picture is None:  # keeps the room that the titles need
        ax.annotate(" ", (0, 1), (0, 32), xycoords="axes fraction", textcoords="offset points")


def _headline(comparison: Comparison) -> str:
    against = ["the exact posterior"] if "quadrature" in comparison.evidence else []
    against += ["MCMC"] if comparison.draws is not None else []
    return "q(z|x)" + (f" against {' and '.join(against)}" if against else "")


def _legend(comparison: Comparison, num_latents: int) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = []
    if "quadrature" in comparison.evidence:
        regions = f": {', '.join(f'{100 * m:.4g}' for m in EXACT_MASSES)} % regions" if num_latents == 2 else ""
        handles.append(Patch(color=EXACT_SHADES[1], label=f"exact posterior{regions}"))
    regions = f": {', '.join(f'{100 * m:.4g}' for m in GUIDE_MASSES)} % regions" if num_latents > 1 else ""
    handles.append(Line2D([], [], color=GUIDE, linewidth=2, label=f"q(z|x){regions}"))
    if comparison.draws is not None:
        style: dict[str, Any] = {"linewidth": 1.1} if num_latents == 1 else {"marker": ".", "linestyle": "none"}
        handles.append(Line2D([], [], color=DRAWS, label="MCMC draws", **style))
    if "quadrature" in comparison.evidence and num_latents <= 2:
        handles.append(Line2D([], [], color=EXACT, marker="x", linestyle="none", label="the posterior's mode"))
    return handles


def _positions(comparison: Comparison, data: Sequence[int] | int | None) -> list[int]:
    if data is None:
        return list(range(len(comparison.data)))
    chosen = [data] if isinstance(data, int) else list(data)
    unknown = [datum for datum in chosen if datum not in comparison.data]
    if unknown or not chosen:
        raise ValueError(f"data: got {chosen}, expected some of the compared ones, {comparison.data}")
    return [comparison.data.index(datum) for datum in chosen]


def _columns(count: int) -> int:
    return count if count <= 3 else 2 if count == 4 else min(4, math.ceil(math.sqrt(count)))


def _rising(levels: list[float]) -> list[float]:
    """Levels that a contour plot accepts: equal ones moved apart."""
    result = [levels[0]]
    for level in levels[1:]:
        result.append(max(level, result[-1] + 1e-9 * max(1.0, abs(result[-1]))))
    return result
