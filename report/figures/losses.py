"""The course of a training run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from elbowroom.entrances import checked
from elbowroom.report.figures.style import BOUND, DATA, EXACT, GUIDE, OTHER, Picture, new_figure, styled

_SKIPPED = 0.03  # of the epochs: their values do not stretch the axis


@checked
def loss_figure(history: Sequence[Mapping[str, Any]]) -> Picture:
    """ELBO, its two parts, and the KL of each latent dimension over epochs, in nats per datum.

    Args:
        history: `Fit.history` or the rows of metrics.jsonl: a mapping for each epoch with `epoch` and any of
            `train_loss`, `elbo`, `elbo_stderr`, `reconstruction`, `kl`, `kl_per_dim`, `beta`; what is missing is left
            out.

    Raises:
        ValueError: if no row has `train_loss` or `elbo`.
    """
    train, elbo = _column(history, "train_loss"), _column(history, "elbo")
    if not len(train[0]) and not len(elbo[0]):
        raise ValueError(
            f"history: got {len(history)} rows without train_loss and elbo, expected Fit.history or the rows of "
            "metrics.jsonl"
        )
    panels = [_elbo_panel]
    if len(_column(history, "reconstruction")[0]) and len(_column(history, "kl")[0]):
        panels.append(_parts_panel)
    if any(row.get("kl_per_dim") for row in history):
        panels.append(_dimensions_panel)
    with styled():
        figure = new_figure(4.3 * len(panels) + 0.4, 3.5)
        for ax, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            panel(ax, history)
            ax.set_xlabel("epoch")
            ax.grid(axis="y", color="#E6E6E6", linewidth=0.7)
    return figure


def _elbo_panel(ax: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    epochs, loss = _column(history, "train_loss")
    curves = []
    if len(epochs):
        ax.plot(epochs, -loss, color=DATA, linewidth=1.2, label="minus training loss")
        curves.append((epochs, -loss))
    epochs, elbo = _column(history, "elbo")
    if len(epochs):
        stderr = _aligned(history, "elbo", "elbo_stderr")
        ax.fill_between(epochs, elbo - stderr, elbo + stderr, color=BOUND, alpha=0.25, linewidth=0)
        ax.plot(epochs, elbo, color=BOUND, linewidth=1.6, label="held-out ELBO ± s.e.")
        best = int(elbo.argmax())
        ax.plot(epochs[best], elbo[best], "o", color=BOUND, markersize=5)
        ax.annotate(
            f"best {elbo[best]:.2f}", (epochs[best], elbo[best]), (-6, -9), textcoords="offset points", ha="right",
            va="top", color=EXACT, fontsize=9,
        )  # fmt: skip
        curves.append((epochs, elbo))
    _shade_warmup(ax, history)
    _frame(ax, curves)
    ax.set_ylabel("nats per datum")
    ax.set_title("ELBO: higher is better")
    ax.legend(loc="lower right")


def _parts_panel(ax: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    epochs, reconstruction = _column(history, "reconstruction")
    ax.plot(epochs, -reconstruction, color=OTHER, linewidth=1.6)
    epochs_kl, kl = _column(history, "kl")
    ax.plot(epochs_kl, kl, color=GUIDE, linewidth=1.6)
    _shade_warmup(ax, history)
    _frame(ax, [(epochs, -reconstruction), (epochs_kl, kl)], floor=0.0)
    for x, y, text, color in (
        (epochs[-1], -reconstruction[-1], "distortion  −E[log p(x|z)]", EXACT),
        (epochs_kl[-1], kl[-1], "rate  KL(q(z|x) ‖ p(z))", GUIDE),
    ):
        above: dict[str, Any] = {"xytext": (0, 7), "textcoords": "offset points", "ha": "right", "va": "bottom"}
        ax.annotate(f"{text}  {y:.2f}", (x, y), color=color, fontsize=9, **above)
    ax.set_ylabel("nats per datum")
    ax.set_title("held-out −ELBO = distortion + rate")


def _dimensions_panel(ax: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    records = [record for record in history if record.get("kl_per_dim")]
    epochs = np.array([record["epoch"] for record in records], dtype=float)
    names, curves = [], []
    for site in records[-1]["kl_per_dim"]:
        values = np.array([np.asarray(record["kl_per_dim"][site], dtype=float).ravel() for record in records])  # [E, D]
        names += [f"{site}[{d}]" if values.shape[1] > 1 else site for d in range(values.shape[1])]
        curves += list(values.T)
    lines = ("-", "--", "-.", ":")  # all of them are of q
    few = len(curves) <= len(lines)
    for i in np.argsort([-curve[-1] for curve in curves]):
        style: dict[str, Any] = {"linestyle": lines[i], "linewidth": 1.5} if few else {"linewidth": 0.8}
        ax.plot(epochs, curves[i], color=GUIDE, label=names[i], **style)
    _shade_warmup(ax, history)
    _frame(ax, [(epochs, curve) for curve in curves], floor=0.0)
    active = sum(curve[-1] > 0.01 for curve in curves)
    ax.set_ylabel("KL(q ‖ p) of the dimension, nats")
    ax.set_title(f"{active} of {len(curves)} latent dimensions carry more than 0.01 nat")
    if few:
        ax.legend(loc="lower right")


def _shade_warmup(ax: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    """Mark the epochs at β < 1."""
    epochs, beta = _column(history, "beta")
    if (beta < 1).any():
        end = epochs[beta < 1].max() + 0.5
        ax.axvspan(epochs[0] - 0.5, end, color="#F3F0E4", linewidth=0, zorder=0)
        ax.text(end, 0.99, " β < 1", transform=ax.get_xaxis_transform(), ha="left", va="top", fontsize=8.5, color=DATA)


def _frame(ax: Axes, curves: list[tuple[np.ndarray, np.ndarray]], floor: float | None = None) -> None:
    """Limits that hold all but the very first epochs."""
    last = max(x[-1] for x, _ in curves)
    first = min(x[0] for x, _ in curves)
    begin = first + _SKIPPED * (last - first)
    values = np.concatenate([y[(x >= begin) & np.isfinite(y)] for x, y in curves])
    if not len(values):
        return
    low, high = float(values.min()), float(values.max())
    margin = 0.08 * max(high - low, 1e-6)
    ax.set_ylim(floor if floor is not None and low >= floor else low - margin, high + margin)
    ax.set_xlim(first - 0.5, last + 0.5)


def _column(history: Sequence[Mapping[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs and values of the rows that have this entry."""
    entries = [
        (record.get("epoch", i + 1), record[key]) for i, record in enumerate(history) if record.get(key) is not None
    ]
    pairs = np.array(entries, dtype=float).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _aligned(history: Sequence[Mapping[str, Any]], key: str, other: str) -> np.ndarray:
    """Another entry of the rows that have `key`; 0 where it is missing."""
    return np.array([record.get(other) or 0.0 for record in history if record.get(key) is not None], dtype=float)
