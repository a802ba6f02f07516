"""Posterior pictures of chosen data: regions of the posterior, draws of q over them."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from contourpy import contour_generator
from markupsafe import Markup
from scipy.stats import gaussian_kde

from elbowroom.entrances.visible import short_name
from elbowroom.inference.audit import Portrait
from elbowroom.report.page.svg import Plot, nice_ticks, tick_text

MOST_DATA, MOST_MARGINALS = 8, 3
_POINTS, _FIT, _GRID, _SIDE = 250, 500, 44, 200
_LEFT, _BELOW, _RIGHT = 48, 34, 12  # room for ticks and names on the sides of a square
_LEVELS = (0.9, 0.5)  # probability inside of the regions


@dataclass(frozen=True)
class Picture:
    """The picture of a datum: its index, drawings by the latents that they show, and a note on what they leave out."""

    datum: int
    drawings: list[tuple[str, Markup]]
    note: str


def portraits(portrait: Portrait) -> list[Picture]:
    """A picture for each of the first `MOST_DATA` data, of the latents in which q and the posterior differ most."""
    return [_picture(portrait, p) for p in range(min(len(portrait.data), MOST_DATA))]


def _picture(portrait: Portrait, p: int) -> Picture:
    q = _finite(portrait.guide[:, p].detach().cpu().double().numpy())
    truth = None if portrait.posterior is None else _finite(portrait.posterior[:, p].detach().cpu().double().numpy())
    datum, names = portrait.data[p], tuple(map(short_name, portrait.latents))
    if min(len(q), len(q) if truth is None else len(truth)) < 10:
        return Picture(datum, [], "too few draws are finite for a picture")
    worst = _order(q, truth)
    ends = [_range(q[:, n], None if truth is None else truth[:, n]) for n in range(len(names))]
    drawings: list[tuple[str, Markup]] = []
    if len(names) > 1:
        a, b = sorted(worst[:2])
        drawings.append((f"{names[a]} across, {names[b]} up", _pair(datum, q, truth, (a, b), ends, names)))
    if len(names) != 2:
        for n in worst[:MOST_MARGINALS]:
            truth_n = None if truth is None else truth[:, n]
            drawings.append((names[n], _marginal(datum, q[:, n], truth_n, ends[n], names[n])))
    beyond = np.any([(q[:, n] < ends[n][0]) | (q[:, n] > ends[n][1]) for n in worst[:2]], 0).mean()
    note = f"{100 * beyond:.0f} % of the draws of q lie outside of the picture" if beyond > 0.02 else ""
    return Picture(datum, drawings, note)


def _pair(
    datum: int, q: np.ndarray, truth: np.ndarray | None, pair: tuple[int, int], ends: list, names: tuple[str, ...]
) -> Markup:
    """Two latents in a square of `_SIDE` units."""
    (left, right), (low, high) = ends[pair[0]], ends[pair[1]]
    scale = np.array([_SIDE / (right - left), -_SIDE / (high - low)])
    origin = np.array([left, high])

    def place(z: np.ndarray) -> np.ndarray:
        return (z - origin) * scale

    regions = Markup("") if truth is None else _regions(place(truth[:, pair]))
    dots = place(_thin(q[:, pair], _POINTS))
    inside = ((dots >= 0) & (dots <= _SIDE)).all(1)
    path = "".join(f"M{x:.0f} {y:.0f}h0" for x, y in dots[inside])
    words = _words(q[:, pair[0]], None if truth is None else truth[:, pair[0]], names[pair[0]])
    words += " " + _words(q[:, pair[1]], None if truth is None else truth[:, pair[1]], names[pair[1]])
    return Markup(
        '<svg class="square" role="img" viewBox="{} 0 {} {}"><title>Datum {}: {} and {}</title><desc>{}</desc>'
        '<svg width="{}" height="{}" class="stretch inside">{}<path class="draws" d="{}"/></svg>'
        '<rect class="frame" width="{}" height="{}"/>{}</svg>'
    ).format(
        -_LEFT, _SIDE + _LEFT + _RIGHT, _SIDE + _BELOW, datum, names[pair[0]], names[pair[1]], words, _SIDE, _SIDE,
        regions,
        path, _SIDE, _SIDE, _ticks((left, right), (low, high), names[pair[0]], names[pair[1]]),
    )  # fmt: skip


def _ticks(x: tuple[float, float], y: tuple[float, float], across: str, up: str) -> Markup:
    """Ticks and the names of the latents, below a square and to its left."""
    marks = Markup("")
    ticks = nice_ticks(*x, most=4)
    for tick in ticks:
        at = _SIDE * (tick - x[0]) / (x[1] - x[0])
        marks += Markup('<path class="axis" d="M{:.1f} {}v4"/>').format(at, _SIDE)
        marks += _tick(at, _SIDE + 15, "middle", tick_text(tick, ticks))
    ticks = nice_ticks(*y, most=4)
    for tick in ticks:
        at = _SIDE * (y[1] - tick) / (y[1] - y[0])
        marks += Markup('<path class="axis" d="M0 {:.1f}h-4"/>').format(at)
        marks += _tick(-6, at + 4, "end", tick_text(tick, ticks))
    marks += _tick(_SIDE / 2, _SIDE + 29, "middle", _cut(across))
    return marks + Markup('<g transform="translate({} {}) rotate(-90)">{}</g>').format(
        10 - _LEFT, _SIDE / 2, _tick(0, 0, "middle", _cut(up))
    )


def _tick(x: float, y: float, anchor: str, words: str) -> Markup:
    return Markup('<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, words)


def _cut(name: str) -> str:
    """A name that fits beside a square."""
    return name if len(name) <= 24 else name[:23] + "…"


def _regions(z: np.ndarray) -> Markup:
    """Highest-density regions of draws, the larger first."""
    z = _thin(z, _FIT)
    try:
        density = gaussian_kde(z.T)
    except np.linalg.LinAlgError:  # draws on a line
        return Markup('<path class="draws truth" d="{}"/>').format("".join(f"M{x:.0f} {y:.0f}h0" for x, y in z))
    grid = np.linspace(-0.1 * _SIDE, 1.1 * _SIDE, _GRID)
    height = density(np.stack([a.ravel() for a in np.meshgrid(grid, grid)])).reshape(_GRID, _GRID)
    at_draws = density(z.T)
    lines = contour_generator(grid, grid, height, line_type="Separate")
    parts = Markup("")
    for level, name in zip(_LEVELS, ("outer", "inner"), strict=True):
        rings = cast(list[np.ndarray], lines.lines(float(np.quantile(at_draws, 1 - level))))
        path = "".join("M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in ring) + "Z" for ring in rings)
        parts += Markup('<path class="region {}" fill-rule="evenodd" d="{}"/>').format(name, path)
    return parts


def _marginal(datum: int, q: np.ndarray, truth: np.ndarray | None, ends: tuple[float, float], name: str) -> Markup:
    grid = np.linspace(*ends, 80)
    mine = _density(q, grid)
    theirs = None if truth is None else _density(truth, grid)
    top = max(mine.max(), 0.0 if theirs is None else theirs.max()) or 1.0
    plot = Plot(ends, (0.0, 1.08 * float(top)), 110)
    if theirs is not None:
        plot.band(grid.tolist(), [0.0] * len(grid), theirs.tolist(), "region inner")
    plot.curve(grid.tolist(), mine.tolist(), "curve")
    plot.axis(name)
    return plot.svg(f"Datum {datum}: {name}", _words(q, truth, name), "plot flush")


def _density(z: np.ndarray, grid: np.ndarray) -> np.ndarray:
    try:
        return gaussian_kde(_thin(z, _FIT))(grid)
    except np.linalg.LinAlgError:  # constant draws
        return np.zeros(len(grid))


def _words(q: np.ndarray, truth: np.ndarray | None, name: str) -> str:
    text = f"{name}: q has mean {q.mean():.3g} and sd {q.std():.3g}"
    return f"{text}." if truth is None else f"{text}, the posterior mean {truth.mean():.3g} and sd {truth.std():.3g}."


def _order(q: np.ndarray, truth: np.ndarray | None) -> list[int]:
    """Latents, those whose marginals differ most (in posterior sds) first."""
    if truth is None:
        return list(range(q.shape[1]))
    levels = np.linspace(0.02, 0.98, 49)
    apart = np.abs(np.quantile(q, levels, 0) - np.quantile(truth, levels, 0)).mean(0) / (truth.std(0) + 1e-300)
    return np.argsort(-apart, kind="stable").tolist()


def _range(q: np.ndarray, truth: np.ndarray | None) -> tuple[float, float]:
    """Ends of an axis: all of the posterior, and of q what lies no farther than two such widths away."""
    low, high = np.quantile(q if truth is None else truth, [0.002, 0.998])
    reach = 2 * max(high - low, 1e-12)
    if truth is not None:
        mine = np.quantile(q, [0.005, 0.995])
        low, high = min(low, max(mine[0], low - reach)), max(high, min(mine[1], high + reach))
    margin = 0.08 * max(high - low, 1e-12 * max(1.0, abs(high)))
    return float(low - margin), float(high + margin)


def _finite(z: np.ndarray) -> np.ndarray:
    return z[np.isfinite(z).all(1)]


def _thin(z: np.ndarray, most: int) -> np.ndarray:
    return z[:: max(1, -(-len(z) // most))]
