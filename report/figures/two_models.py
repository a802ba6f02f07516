"""Which of two models is better: log p(x) against what the ELBO says, datum by datum, and the means."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference import Paired, Versus
from elbowroom.report.figures.style import BOUND, DATA, EXACT, Picture, new_figure, styled
from elbowroom.report.records.palette import PALETTE

_MOST_NUMBERED = 3  # data whose numbers stand beside them
_AGAINST = "#F4E7DF"  # where the ELBO says the opposite


@checked
def versus_figure(found: Versus) -> Picture:
    """Left: each datum's difference of log p(x), from both sides, against that of the ELBOs. Right: the means.

    Right of the vertical line the ELBO prefers the first model, above the horizontal one log p(x) does: in the shaded
    quarters they disagree. A datum lies above the diagonal by how much larger the first model's room is.

    Args:
        found: from `versus`.

    Raises:
        ValueError: if log p(x) of no datum is known from both sides.
    """
    if not len(found.log_p):
        raise ValueError("found: log p(x) of no datum is known from both sides, so there is nothing to draw")
    with styled():
        figure = new_figure(10.4, 4.3)
        left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
        _data(left, found)
        _means(right, found)
        figure.suptitle(_title(found), x=0.01, ha="left")
    return figure


def _title(found: Versus) -> str:
    if found.better is None:
        return f"{found.names[0]} or {found.names[1]}: cannot be told from these data"
    return f"{found.better} is better" + (", and the ELBO says the opposite" if found.is_reversed else "")


def _data(ax: Axes, found: Versus) -> None:
    low, high, elbo = (side.double().cpu() for side in (found.log_p.low, found.log_p.high, found.elbo.low))
    middle = (low + high) / 2
    size = 1.08 * max(float(middle.abs().max()), float(elbo.abs().max()), 1e-9)
    for x, y in ((0.0, -size), (-size, 0.0)):  # lower right, upper left
        ax.fill_between([x, x + size], y, y + size, color=_AGAINST, linewidth=0, zorder=0)
    ax.axline((0, 0), slope=1, color=DATA, linewidth=0.8, linestyle="--", zorder=1)
    ax.axhline(0, color=DATA, linewidth=0.8, zorder=1)
    ax.axvline(0, color=DATA, linewidth=0.8, zorder=1)
    error = torch.stack(((middle - low).clamp_min(0), (high - middle).clamp_min(0))).numpy()
    ax.errorbar(
        elbo.numpy(),
        middle.numpy(),
        yerr=error,
        fmt=".",
        color=DATA,
        markersize=4,
        elinewidth=0.6,
        alpha=0.6,
        gid="data",
    )
    for place in middle.abs().topk(min(_MOST_NUMBERED, len(middle))).indices.tolist():
        datum = int(found.data[found.known][place])
        ax.annotate(str(datum), (float(elbo[place]), float(middle[place])), xytext=(4, 3),
                    textcoords="offset points", fontsize=8)  # fmt: skip
    ax.set_xlim(-size, size)
    ax.set_ylim(-size, size)
    one, other = found.names
    ax.set_xlabel(f"ELBO, {one} less {other}, nats")
    ax.set_ylabel(f"log p(x), {one} less {other}, nats")
    disagree = int((middle * elbo < 0).sum())
    ax.set_title(f"They disagree on {disagree} of {len(middle)} data (shaded)")


def _means(ax: Axes, found: Versus) -> None:
    rows = [("log p(x)", found.log_p, EXACT), ("ELBO", found.elbo, BOUND), ("room", found.room, PALETTE["rest"].light)]
    for place, (name, paired, color) in enumerate(rows):
        low, high = paired.interval()
        ax.plot([low, high], [place, place], color=color, linewidth=2.5, solid_capstyle="butt", gid=f"interval {name}")
        ax.plot([paired.value], [place], "D", color=color, markersize=6, markeredgecolor="white", gid=f"mean {name}")
        ax.annotate(_words(paired), (paired.value, place), xytext=(0, 9), textcoords="offset points", ha="center",
                    fontsize=9)  # fmt: skip
    ax.axvline(0, color=DATA, linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(rows)), [name for name, *_ in rows])
    ax.set_ylim(len(rows) - 0.5, -0.6)
    ax.tick_params(axis="y", length=0, labelsize=10)
    ends = torch.tensor([paired.interval() for _, paired, _ in rows])
    reach = _finite(ends)
    ax.set_xlim(-1.5 * reach, 1.5 * reach)
    one, other = found.names
    ax.set_xlabel(f"← {other} has more      mean difference, nats      {one} has more →")
    whose = "new data like these" if found.anew else "these data"
    ax.set_title(f"Means of {len(found.log_p)} data; 95 % intervals for {whose}")


def _words(paired: Paired) -> str:
    low, high = paired.interval()
    digits = 2 if high - low >= 0.05 else 4
    return f"{paired.value:.{digits}f} ({low:.{digits}f} … {high:.{digits}f})"


def _finite(ends: Tensor) -> float:
    known = ends[ends.isfinite()].abs()
    return float(known.max()) if len(known) and float(known.max()) > 0 else 1.0
