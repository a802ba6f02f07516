"""The room between the bounds and log p(x), and whether importance sampling closes it."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference import Estimate
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.weights import K_LIMIT
from elbowroom.report.figures.style import BOUND, DATA, EXACT, SAMPLED, Picture, new_figure, styled
from elbowroom.report.records.bounds import Bound, bounds_of
from elbowroom.report.records.number_format import SIGMAS, in_standard_errors, with_error

_LINEAR = 0.01  # nats: below it the axis of rooms is linear, so that noise around 0 is seen
_MOST_NUMBERED = 12
"""So many data that are far from where they should be bear their number; in the left panel the one with most room."""
_NAMED = f"; logarithmic beyond {_LINEAR:g}"
_HALO = [withStroke(linewidth=2.5, foreground="white")]


@checked
def gap_figure(sampled: Estimate[ImportanceInfo], exact: Estimate | None = None) -> Picture:
    """Left: the room above each bound, datum by datum. Right: importance sampling held against the exact log p(x).

    The room above the ELBO is KL(q ‖ p(z|x)). Without `exact` it is measured from log p̂(x), so it is too small, and the
    right panel shows it against Pareto's k̂.

    Args:
        sampled: from `importance`, best with `num_particles` for the IWAE bounds.
        exact: from `quadrature` of the same data.

    Raises:
        ValueError: if the two are not of the same number of data.
    """
    if exact is not None and len(exact) != len(sampled):
        raise ValueError(f"exact has {len(exact)} data and sampled has {len(sampled)}: give both for the same data")
    bounds = bounds_of(sampled, exact)
    with styled():
        figure = new_figure(10.4, 4.1)
        left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
        _rooms(left, bounds[:-1], bounds[-1])
        if exact is None:
            _tails(right, sampled)
        else:
            _agreement(right, sampled, exact)
    return figure


def _rooms(ax: Axes, bounds: list[Bound], best: Bound) -> None:
    """A strip of dots for each bound, loosest on top, with its mean."""
    generator = np.random.default_rng(0)  # of the jitter only
    lowest = highest = 0.0
    for row, bound in enumerate(bounds):
        room = (best.value - bound.value).double().numpy()
        finite = room[np.isfinite(room)]
        height = row + generator.uniform(-0.2, 0.2, len(finite))
        color = SAMPLED if bound.name.startswith("importance") else BOUND
        ax.plot(finite, height, ".", color=color, markersize=4, markeredgewidth=0, alpha=0.6, gid=bound.name)
        if not row:
            largest = np.argsort(-finite, kind="stable")[:1]
            _numbered(ax, finite, height, largest, np.flatnonzero(np.isfinite(room)))
        mean, error = _mean_room(bound, best)
        ax.plot([mean], [row], "D", color=EXACT, markersize=5, markeredgecolor="white", zorder=4, gid="mean")
        above: dict[str, Any] = {"xytext": (0, 12), "textcoords": "offset points", "ha": "center"}
        text = f"mean {with_error(mean, error, max_decimals=4)}"
        ax.annotate(text, (mean, row), fontsize=9, path_effects=_HALO, zorder=5, **above)
        lowest, highest = min(lowest, finite.min(initial=0)), max(highest, finite.max(initial=0))
    ax.axvline(0, color=DATA, linewidth=0.8)
    ax.set_xscale("symlog", linthresh=_LINEAR, linscale=0.6)
    ax.set_xlim(1.3 * lowest - 0.3 * _LINEAR, max(1.3 * highest, 10 * _LINEAR))
    ax.xaxis.set_major_formatter(_plain)
    ax.set_yticks(range(len(bounds)), [bound.name for bound in bounds])
    ax.set_ylim(len(bounds) - 0.6, -0.6)
    ax.tick_params(axis="y", length=0, labelsize=10)
    exact = best.bound == "exact"
    log_p = "log p(x)" if exact else "log p̂(x)"
    ax.set_xlabel(f"{log_p} − bound, nats" + ("" if exact else " (too small where log p̂ is too low)") + _NAMED)
    means = [_mean_room(bound, best)[0] for bound in bounds]
    names = ["ELBO", *(["IWAE"] if any(bound.name.startswith("IWAE") for bound in bounds) else []), log_p]
    ordered = all(np.diff(means) < 0) and means[-1] > 0  # said only where it is so
    ax.set_title(f"{' < '.join(names)}: means of {len(best.value)} data" if ordered else "Room above each bound")


def _agreement(ax: Axes, sampled: Estimate[ImportanceInfo], exact: Estimate) -> None:
    """Distance of log p̂ from log p in standard errors, against the room; far data bear their number."""
    distance = in_standard_errors(sampled.value - exact.value, sampled.stderr, exact.stderr).double().numpy()
    room = (exact.value - sampled.info["elbo"]).double().numpy()
    shown = np.isfinite(distance) & np.isfinite(room)
    _scatter(ax, room[shown], distance[shown], sampled.info["pareto_k"].double().numpy()[shown])
    far = np.argsort(-np.abs(distance[shown]), kind="stable")[:_MOST_NUMBERED]
    far = far[np.abs(distance[shown][far]) > SIGMAS]
    _numbered(ax, room[shown], distance[shown], far, np.flatnonzero(shown))
    ax.axhspan(-SIGMAS, SIGMAS, color="#EFEFEF", linewidth=0, zorder=0)
    ax.axhline(0, color=DATA, linewidth=0.8, zorder=0)
    named = ""
    low, high = (max(1.5 * SIGMAS, 1.1 * float(side.max(initial=0))) for side in (-distance[shown], distance[shown]))
    if max(low, high) > 8 * SIGMAS:
        ax.set_yscale("symlog", linthresh=SIGMAS, linscale=1.5)
        ax.yaxis.set_major_formatter(_plain)
        named = f"; logarithmic beyond {SIGMAS:g}"
    ax.set_ylim(-low, high)
    _room_axis(ax, room[shown], "log p(x) − ELBO = KL(q ‖ p(z|x)), nats")
    ax.set_ylabel(f"(log p̂ − log p) / standard error{named}")
    inside = int((np.abs(distance) <= SIGMAS).sum())
    ax.set_title(f"log p̂ within {SIGMAS:.0f} s.e. of exact for {inside} of {len(sampled)} data")


def _tails(ax: Axes, sampled: Estimate[ImportanceInfo]) -> None:
    """Pareto's k̂ against the room that importance sampling sees."""
    room = (sampled.value - sampled.info["elbo"]).double().numpy()
    k = sampled.info["pareto_k"].double().numpy()
    shown = np.isfinite(room) & np.isfinite(k)
    _scatter(ax, room[shown], k[shown], k[shown])
    heavy = np.argsort(-k[shown], kind="stable")[:_MOST_NUMBERED]
    _numbered(ax, room[shown], k[shown], heavy[k[shown][heavy] > K_LIMIT], np.flatnonzero(shown))
    ax.axhline(K_LIMIT, color=DATA, linewidth=0.8, linestyle="--", zorder=0)
    _room_axis(ax, room[shown], "log p̂(x) − ELBO, nats")
    ax.set_ylabel(r"Pareto $\hat{k}$ of the weights")
    if hidden := len(k) - int(shown.sum()):
        text = f"{hidden} with constant weights or too few samples not shown"
        ax.text(0.02, 0.98, text, transform=ax.transAxes, va="top", fontsize=9, color=DATA, gid="hidden")
    flagged = sum(bool(flag) for flag in sampled.flags)
    ax.set_title(f"log p̂ is flagged for {flagged} of {len(sampled)} data")


def _scatter(ax: Axes, x: np.ndarray, y: np.ndarray, k: np.ndarray) -> None:
    """Dots, and crosses where k̂ is above the limit."""
    heavy = np.nan_to_num(k, nan=0.0, neginf=0.0, posinf=np.inf) > K_LIMIT
    ax.scatter(x[~heavy], y[~heavy], color=SAMPLED, s=14, linewidth=0, alpha=0.8, gid="trusted")
    label = rf"Pareto $\hat{{k}}$ above {K_LIMIT}"
    ax.scatter(x[heavy], y[heavy], color=SAMPLED, s=26, marker="x", linewidth=1.3, label=label, gid="flagged")
    if heavy.any():
        ax.legend(loc="best", frameon=True)


def _numbered(ax: Axes, x: np.ndarray, y: np.ndarray, places: np.ndarray, data: np.ndarray) -> None:
    """The numbers of some data beside their marks; `data` holds the number of each place."""
    for place in places:
        beside: dict[str, Any] = {"xytext": (4, -3), "textcoords": "offset points", "fontsize": 8, "zorder": 6}
        at = (float(x[place]), float(y[place]))
        ax.annotate(str(data[place]), at, gid="number", path_effects=_HALO, **beside)


def _room_axis(ax: Axes, room: np.ndarray, label: str) -> None:
    if (room > 0).all() and len(room) and room.max() > 10 * room.min():
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(_plain)
    ax.set_xlabel(label)


def _mean_room(bound: Bound, best: Bound) -> tuple[float, float]:
    error: Tensor = torch.sqrt(bound.stderr**2 + best.stderr**2)
    return Estimate(best.value - bound.value, error, "none").mean()


def _plain(value: float, _: float) -> str:
    """Ticks of logarithmic axes as plain numbers."""
    return f"{value:g}"
