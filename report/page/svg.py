"""Small drawings as inline SVG whose width follows the page: x in percent, y in pixels, so that text keeps its size.

Colours are classes of `page.css`, which knows light, dark and print; nothing here has a colour of its own.
"""

import math
from collections.abc import Sequence
from typing import Literal

from markupsafe import Markup

Anchor = Literal["start", "middle", "end"]
_WIDE = 1000  # of the user space of curves, which are stretched to the width of the drawing


class Plot:
    """A drawing area with linear axes; what is added later lies on top.

    Args:
        x, y: ends of the axes, as numbers.
        height: of the area, pixels.
    """

    def __init__(self, x: tuple[float, float], y: tuple[float, float], height: float) -> None:
        self.x, self.y, self.height = _apart(x), _apart(y), height
        self._marks: list[Markup] = []

    def percent(self, x: float) -> str:
        """Where a value lies across, clamped to just outside of the area."""
        return f"{100 * min(max(self._across(x), -0.02), 1.02):.4g}%"

    def pixel(self, y: float) -> float:
        """Where a value lies down."""
        share = (y - self.y[0]) / (self.y[1] - self.y[0])
        return round(self.height * (1 - min(max(share, -0.02), 1.02)), 1)

    def line(self, x: tuple[float, float], y: tuple[float, float], style: str) -> None:
        """A straight line."""
        ends = self.percent(x[0]), self.pixel(y[0]), self.percent(x[1]), self.pixel(y[1])
        self._add('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>', style, *ends)

    def box(self, x: tuple[float, float], y: tuple[float, float], style: str, least: float = 0.0) -> None:
        """A rectangle, at least so many percent wide."""
        left, right = sorted(100 * min(max(self._across(end), 0.0), 1.0) for end in x)
        top, bottom = sorted(self.pixel(end) for end in y)
        width = max(right - left, least)
        place = f"{left:.4g}%", top, f"{width:.4g}%", round(bottom - top, 1)
        self._add('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', style, *place)

    def dot(self, x: float, y: float, style: str, radius: float = 4.0) -> None:
        """A filled circle."""
        self._add('<circle class="{}" cx="{}" cy="{}" r="{}"/>', style, self.percent(x), self.pixel(y), radius)

    def text(
        self, x: float, y: float, words: str, style: str = "label", anchor: Anchor = "start", dx: float = 0
    ) -> None:
        """Words at a point, moved right by dx pixels."""
        place = self.percent(x), self.pixel(y), dx, anchor
        self._add('<text class="{}" x="{}" y="{}" dx="{}" text-anchor="{}">{}</text>', style, *place, words)

    def curve(self, x: Sequence[float], y: Sequence[float], style: str) -> None:
        """A line through points; it stops at numbers that are not finite."""
        self._stretch(self._path(x, y), style)

    def band(self, x: Sequence[float], low: Sequence[float], high: Sequence[float], style: str) -> None:
        """The area between two curves."""
        there = self._path(x, low)
        back = self._path(list(reversed(x)), list(reversed(high))).replace("M", "L", 1)
        self._stretch(f"{there}{back}Z", style)

    def axis(self, label: str, ticks: Sequence[float] | None = None) -> None:
        """The horizontal axis below the area, with its label."""
        self._add('<line class="axis" x1="0" y1="{}" x2="100%" y2="{}"/>', self.height, self.height)
        shown = nice_ticks(*self.x) if ticks is None else ticks
        for tick in shown:
            where = self.percent(tick)
            self._add(
                '<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}"/>', where, self.height, where, self.height + 4
            )
            words = tick_text(tick, shown)
            self._add('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>', where, self.height + 17, words)
        self._add('<text class="tick" x="50%" y="{}" text-anchor="middle">{}</text>', self.height + 34, label)

    def side_axis(self, ticks: Sequence[float] | None = None) -> None:
        """The vertical axis: faint lines across with their values to the left."""
        shown = nice_ticks(*self.y, most=4) if ticks is None else ticks
        for tick in shown:
            level = self.pixel(tick)
            self._add('<line class="grid" x1="0" y1="{}" x2="100%" y2="{}"/>', level, level)
            self._add(
                '<text class="tick" x="0" dx="-6" y="{}" text-anchor="end">{}</text>', level + 4, tick_text(tick, shown)
            )

    def svg(self, title: str, description: str, style: str = "plot", below: float = 40) -> Markup:
        """The drawing as an image whose description says its numbers."""
        head = Markup('<svg class="{}" role="img" height="{}"><title>{}</title><desc>{}</desc>').format(
            style, round(self.height + below), title, description
        )
        return head + Markup("").join(self._marks) + Markup("</svg>")

    def _add(self, template: str, *values: object) -> None:
        self._marks.append(Markup(template).format(*values))

    def _stretch(self, path: str, style: str) -> None:
        self._add(
            '<svg class="stretch" viewBox="0 0 {} {}" preserveAspectRatio="none" width="100%" height="{}">'
            '<path class="{}" d="{}"/></svg>',
            _WIDE, self.height, self.height, style, path,
        )  # fmt: skip

    def _path(self, x: Sequence[float], y: Sequence[float]) -> str:
        parts, pen = [], "M"
        for across, up in zip(x, y, strict=True):
            if not (math.isfinite(across) and math.isfinite(up)):
                pen = "M"
                continue
            parts.append(f"{pen}{_WIDE * self._across(across):.4g} {self.pixel(up):g}")
            pen = "L"
        return "".join(parts)

    def _across(self, x: float) -> float:
        return (x - self.x[0]) / (self.x[1] - self.x[0])


def bar(share: float, label: str, style: str = "fill") -> Markup:
    """A small bar in a table, of a share of its width; the number itself stands beside it."""
    width = 100 * min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
    return Markup(
        '<svg class="bar" role="img" aria-label="{}" height="10"><rect class="track" width="100%" height="10" rx="2"/>'
        '<rect class="{}" width="{}" height="10" rx="2"/></svg>'
    ).format(label, style, f"{width:.4g}%")


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most so many + 1 round numbers between two ends."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def tick_text(value: float, ticks: Sequence[float]) -> str:
    """A tick with as many decimals as its neighbours need."""
    step = abs(ticks[1] - ticks[0]) if len(ticks) > 1 else abs(value) or 1.0
    least = max(0, -math.floor(math.log10(step) + 1e-9))
    decimals = min(least + (abs(round(step, least) - step) > 1e-6 * step), 9)
    text = f"{value:.{decimals}f}"
    return "0" if float(text) == 0 else text.replace("-", "−")


def _apart(ends: tuple[float, float]) -> tuple[float, float]:
    """Ends of an axis that are not the same."""
    low, high = ends
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    least = 1e-9 * max(1.0, abs(low), abs(high))
    return (low, high) if abs(high - low) > least else (low - 0.5, low + 0.5)
