"""Where the room comes from, as a waterfall, and how it spreads over the data, as a histogram."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from elbowroom.inference.estimate import NORMAL_95 as Z
from elbowroom.inference.gap import Decomposition
from elbowroom.report.page.svg import Plot
from elbowroom.report.records.audit_means import Mean
from elbowroom.report.records.number_format import significant
from elbowroom.report.records.words import amount

_ROW, _BAR = 46.0, 14.0  # pixels
_BINS = 28
_REST, _ENDS = "rest", ("start", "total")


def waterfall(decomposition: Decomposition, mean: Mapping[str, Mean]) -> Markup:
    """From the ELBO up to log p(x): a bar for what each family gains, one for what no family gained."""
    steps = waterfall_steps(decomposition, mean)
    ends = [end + sign * Z * error for _, start, end, error, _ in steps for sign in (-1, 1) if math.isfinite(error)]
    ends += [level for _, start, end, _, _ in steps for level in (start, end) if math.isfinite(level)]
    if not ends:
        return Markup("")
    margin = 0.03 * (max(ends) - min(ends))
    plot = Plot((min(ends) - margin, max(ends) + margin), (_ROW * len(steps), 0.0), _ROW * len(steps))
    for i, (label, start, end, error, kind) in enumerate(steps):
        top = _ROW * i
        gained = kind not in _ENDS
        text = _step_text(start, end, error, kind)
        plot.text(plot.x[0], top + 17, label, "label")
        plot.text(plot.x[1], top + 17, text, "value", "end")
        middle = top + 24 + _BAR / 2
        if gained:
            plot.box((start, end), (top + 24, top + 24 + _BAR), kind, least=0.4)
        else:
            plot.dot(end, middle, "node bound" if kind == _ENDS[0] else "node", 5)
        if math.isfinite(error) and error > 0:
            plot.line((end - Z * error, end + Z * error), (middle, middle), "whisker")
        if i + 1 < len(steps):
            plot.line((end, end), (top + 24 + _BAR, top + _ROW + 24), "connector")
    plot.axis("nats per datum")
    words = "; ".join(f"{label}: {_step_text(start, end, error, kind)}" for label, start, end, error, kind in steps)
    return plot.svg("Waterfall from the ELBO up to log p(x)", f"Means over data in nats. {words}.", "plot flush")


def waterfall_steps(
    decomposition: Decomposition, mean: Mapping[str, Mean]
) -> list[tuple[str, float, float, float, str]]:
    """The steps: label, from, to, standard error of the step (of the value at both ends), kind."""
    rungs = list(decomposition.ladder)
    family_rung = rungs.index(decomposition.family) if decomposition.family in rungs else len(rungs) - 1
    level = mean[f"ELBO, {rungs[0]}"]
    steps = [("ELBO of the guide as trained", level.value, level.value, level.stderr, _ENDS[0])]
    for i, (before, after) in enumerate(pairwise(rungs), 1):
        low, high, gain = mean[f"ELBO, {before}"], mean[f"ELBO, {after}"], mean[f"gain, {after}"]
        kind = "encoder" if i <= family_rung else "family"
        label = after if i < family_rung else f"larger family: {after}"
        if i == family_rung:
            label = f"best {after} for each datum"
        steps.append((label, low.value, high.value, gain.stderr, kind))
    last, top = mean[f"ELBO, {rungs[-1]}"], mean["log p(x)"]
    error = math.hypot(last.stderr, top.stderr)
    steps.append(("left up to log p(x)", last.value, top.value, error, _REST))
    return [*steps, ("log p(x)", top.value, top.value, top.stderr, _ENDS[1])]


def room_histogram(room: Sequence[float], mean: float) -> Markup:
    """How many data have how much room; NaN and infinite ones are left out."""
    values = np.asarray([value for value in room if math.isfinite(value)])
    if not len(values):
        return Markup("")
    low, end = min(0.0, float(values.min())), _right_end(values)
    bins = min(_BINS, max(5, round(2 * len(values) ** 0.5)))
    counts, edges = np.histogram(values.clip(max=end), bins=bins, range=(low, end if end > low else low + 1e-9))
    plot = Plot((low, end), (0.0, float(counts.max()) * 1.12), 170)
    ticks = list(range(0, int(counts.max()) + 1, max(1, int(counts.max()) // 3)))
    plot.side_axis(ticks)
    for size, left, right in zip(counts, edges, edges[1:], strict=False):
        if size:
            gap = 0.08 * (right - left)
            plot.box((left + gap, right - gap), (0, float(size)), "column")
    plot.line((mean, mean), (0, plot.y[1]), "marker")
    words, level = f"mean {significant(mean, 3)}", 0.96 * plot.y[1]
    if mean > (low + end) / 2:
        plot.text(mean, level, words, "label", "end", -6)
    else:
        plot.text(mean, level, words, "label", "start", 6)
    beyond = int((values > end).sum())
    plot.axis("room, nats" + (f" (the last bar holds {beyond} data with more)" if beyond else ""))
    quartiles = [significant(float(q), 3) for q in np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0])]
    words = "smallest {}, quartiles {}, {} and {}, largest {}".format(*quartiles)
    return plot.svg("Histogram of the room over the data", f"Room of {len(values)} data in nats: {words}.")


def _step_text(start: float, end: float, error: float, kind: str) -> str:
    """The value at an end of the waterfall, the gain of a step."""
    return amount(end, error) if kind in _ENDS else amount(end - start, error, signed=True)


def _right_end(values: np.ndarray) -> float:
    """The right end: the largest value, unless a few are far away from all others."""
    far = 1.5 * float(np.quantile(values, 0.99))
    return far if 0 < far < values.max() else float(values.max())
