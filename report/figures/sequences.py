"""Sequences: each a panel with its steps to the right, as curves if few values are seen at a step, else as a band."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.report.figures.images import value_range
from elbowroom.report.figures.style import Picture, new_figure, styled

_MOST_CURVES = 4
_COLUMNS = 8
_COLOURS = ("#1a1a1a", "#8a8a8a", "#555555", "#b4b4b4")  # of the values of a step: none has a meaning of its own


@checked
def sequences_figure(rows: Mapping[str, Tensor], mask: Tensor | None, *, title: str) -> Picture:
    """Panels of sequences, a row for each name and a column for each sequence, at most eight beside each other.

    Args:
        rows: what they are -> `[N, T, P]`.
        mask: `[N, T]`, true where there is a step; None: everywhere.
        title: of the figure.

    Raises:
        ValueError: if the shapes do not fit, or there are no sequences.
    """
    data = {name: x.detach().cpu().double().numpy() for name, x in rows.items()}
    shapes = {name: x.shape for name, x in data.items()}
    if len(set(shapes.values())) != 1 or any(len(s) != 3 or 0 in s for s in shapes.values()):
        raise ValueError(f"rows: got the shapes {shapes}, expected [N, T, P] of at least one sequence, all alike")
    num, num_steps, _ = next(iter(shapes.values()))
    if mask is not None and mask.shape != (num, num_steps):
        raise ValueError(f"mask: got shape {tuple(mask.shape)}, expected {(num, num_steps)}, the steps of rows")
    there = np.ones((num, num_steps), bool) if mask is None else mask.cpu().numpy().astype(bool)
    limits = value_range(*data.values())
    columns, blocks = min(num, _COLUMNS), -(-num // _COLUMNS)
    with styled():
        figure = new_figure(0.9 + 1.15 * columns, 0.6 + 0.85 * blocks * len(data))
        axes = figure.subplots(blocks * len(data), columns, squeeze=False)
        for ax in axes.flat:
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        for n in range(num):
            for r, (name, x) in enumerate(data.items()):
                ax = axes[n // columns * len(data) + r, n % columns]
                _draw(ax, np.where(there[n, :, None], x[n], np.nan), limits)
                if n % columns == 0:
                    ax.set_ylabel(name, fontsize=8)
        figure.suptitle(f"{title}: {num_steps} steps to the right", x=0.01, ha="left")
    return figure


def _draw(ax: Axes, x: np.ndarray, limits: tuple[float, float]) -> None:
    """One sequence `[T, P]`, NaN where there is no step."""
    if x.shape[1] > _MOST_CURVES:
        ax.imshow(x.T, cmap="gray_r", vmin=limits[0], vmax=limits[1], interpolation="nearest", aspect="auto")
        return
    for p, colour in zip(range(x.shape[1]), _COLOURS, strict=False):
        ax.plot(np.arange(len(x)), x[:, p], color=colour, linewidth=1.2, marker=".", markersize=3)
    margin = 0.05 * max(limits[1] - limits[0], 1e-12)
    ax.set(xlim=(-0.5, len(x) - 0.5), ylim=(limits[0] - margin, limits[1] + margin))
