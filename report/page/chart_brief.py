"""The room at a glance: one bar from the ELBO up to log p(x), in the parts that are whose."""

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from elbowroom.inference.audit import Audit, Headline, Number
from elbowroom.report.page.svg import Anchor, Plot

_PARTS = (
    ("amortization", "encoder", "the encoder’s"),
    ("optimisation", "rest", "still to be found"),
    ("approximation", "family", "the family’s"),
)
_LEAST = 1.0
"""Nats that the axis shows at least, so that a room that matters to nobody looks small."""
_TOP, _BOTTOM, _HEIGHT = 26.0, 52.0, 80.0  # pixels


def brief_chart(audit: Audit) -> dict[str, Any]:
    """The drawing, and the parts for its key (name, style, value); empty without a room."""
    numbers, headlines = audit.numbers, audit.brief.numbers
    known = headlines and all(number.key in numbers for number in headlines)
    if not known or not math.isfinite(numbers[headlines[2].key].value):
        return {}
    elbo, log_p, room = headlines
    parts = _parts(numbers, numbers[room.key].value)
    return {
        "drawing": _bar(numbers[room.key], elbo, log_p, room, parts),
        "parts": [(name, style, value) for name, style, value, _ in parts],
    }  # fmt: skip


def _parts(numbers: Mapping[str, Number], room: float) -> list[tuple[str, str, str, float]]:
    """Name, style, value in words, and width of each part, widths adding up to the room; noise below zero is none."""
    if not all(key in numbers for key, _, _ in _PARTS) or not room > 0:
        return []
    sizes = [max(numbers[key].value, 0.0) for key, _, _ in _PARTS]
    total = sum(size for size in sizes if math.isfinite(size))
    if not total > 0:
        return []
    return [
        (name, style, _share(size / total), room * size / total if math.isfinite(size) else 0.0)
        for (_, style, name), size in zip(_PARTS, sizes, strict=True)
    ]


def _share(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.005 else "below 1 %" if share > 0 else "none"


def _bar(
    room: Number, elbo: Headline, log_p: Headline, gap: Headline, parts: list[tuple[str, str, str, float]]
) -> Markup:
    high = room.high if math.isfinite(room.high) else room.value
    low, end = min(0.0, room.value, room.low), 1.04 * max(_LEAST, high, room.value)
    plot = Plot((low, end), (_HEIGHT, 0.0), _HEIGHT)
    at = 0.0
    for _, style, _, width in parts or [("", "rest", "", max(room.value, 0.0))]:
        plot.box((at, at + width), (_TOP, _BOTTOM), style)
        at += width
    middle = (_TOP + _BOTTOM) / 2
    _end(plot, 0.0, _TOP - 8, f"ELBO {elbo.value}", "bound", (_TOP - 4, _BOTTOM))
    _end(plot, room.value, _BOTTOM + 20, f"log p(x) {log_p.value}", "exact", (_TOP, _BOTTOM + 6))
    if math.isfinite(room.high) and room.high > room.low:
        plot.line((max(room.low, low), room.high), (middle, middle), "whisker")
        for whisker in (max(room.low, low), room.high):
            plot.line((whisker, whisker), (middle - 4, middle + 4), "whisker")
    elif not math.isfinite(room.high):
        plot.text(room.value, middle + 5, "→ or more", "label", "start", 8)
    plot.axis("nats above the ELBO")
    words = f"The ELBO is {elbo.value}, log p(x) {log_p.value}, the room between them {gap.told.removeprefix('room ')}."
    shares = "; ".join(f"{name} {value}" for name, _, value, _ in parts)
    return plot.svg("From the ELBO up to log p(x)", words + (f" Parts: {shares}." if shares else ""), "plot flush", 40)


def _end(plot: Plot, x: float, y: float, words: str, style: str, between: tuple[float, float]) -> None:
    """A line across the bar at one of its ends, with its label."""
    plot.line((x, x), between, f"end {style}")
    left = (x - plot.x[0]) / (plot.x[1] - plot.x[0]) < 0.5
    anchor: Anchor = "start" if left else "end"
    plot.text(x, y, words, "value", anchor)
