"""Boxes on floors with arrows between them, as SVG: the same text for the same boxes, so that it can be compared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from textwrap import wrap

Arrow = tuple[str, str]
"""(from, to), names of boxes."""

_WIDTH, _CHARACTERS, _LINE = 200, 30, 15  # of a box, of a line in it, and the height of that line
_GAP, _FLOOR, _LANE, _MARGIN = 22, 40, 14, 26  # between boxes, between floors, width of a passing arrow, of a frame
_SWEEPS = 8

_STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:#222}.name{font-size:15px;font-weight:bold}"
    ".text{font-size:12px}.size{font-size:11px;fill:#666}"
    ".box{fill:#fff;stroke:#456;stroke-width:1.2}.frame{fill:#f3f6fa;stroke:#456;stroke-width:1.2}"
    ".arrow{fill:none;stroke:#7a8794;stroke-width:1.3;marker-end:url(#head)}"
)
_HEAD = (
    '<marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0,0L8,4L0,8z" fill="#7a8794"/></marker>'
)


@dataclass
class Box:
    """A room of the picture; with `inside` a frame around other floors."""

    name: str
    title: str
    text: str
    size: str
    inside: "Floors | None" = None

    @property
    def lines(self) -> list[str]:
        """The text, broken to the width of the box."""
        return wrap(self.text, _CHARACTERS * (1 if self.inside is None else 4))

    @property
    def width(self) -> float:
        """In pixels."""
        return _WIDTH if self.inside is None else self.inside.width + 2 * _MARGIN

    @property
    def height(self) -> float:
        """In pixels."""
        return self.head + (0 if self.inside is None else self.inside.height + _MARGIN)

    @property
    def head(self) -> float:
        """Height of what is written."""
        return 46 + _LINE * len(self.lines)

    def svg(self, x: float, y: float) -> list[str]:
        """Drawn with its upper left corner at (x, y)."""
        kind = "box" if self.inside is None else "frame"
        parts = [f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{self.width:g}" height="{self.height:g}" rx="5"/>']
        rows = [("name", self.title), *(("text", line) for line in self.lines), ("size", self.size)]
        for i, (style, text) in enumerate(rows):
            parts.append(f'<text class="{style}" x="{x + 10:g}" y="{y + 20 + _LINE * i:g}">{escape(text)}</text>')
        if self.inside is not None:
            parts += self.inside.svg(x + _MARGIN, y + self.head)
        return parts


@dataclass
class Floors:
    """Boxes floor by floor, from the top, and the arrows between them, which all point down."""

    floors: Sequence[Sequence[Box]]
    arrows: Iterable[Arrow]
    boxes: dict[str, Box] = field(init=False)
    _order: list[list[str]] = field(init=False)
    _chains: list[list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.boxes = {box.name: box for floor in self.floors for box in floor}
        level = {box.name: i for i, floor in enumerate(self.floors) for box in floor}
        self._order = [[box.name for box in floor] for floor in self.floors]
        self._chains = []
        for start, end in sorted(self.arrows):
            # A place on each floor that the arrow passes.
            passed = [f"{start}>{end}@{i}" for i in range(level[start] + 1, level[end])]
            for i, name in enumerate(passed, level[start] + 1):
                self._order[i].append(name)
            self._chains.append([start, *passed, end])
        for sweep in range(_SWEEPS):
            self._sort(down=sweep % 2 == 0)

    def _sort(self, down: bool) -> None:
        """Each floor in the order of the mean place of its neighbours on the floor before (Sugiyama et al. 1981)."""
        links = [pair for chain in self._chains for pair in pairwise(chain)]
        neighbours: dict[str, list[str]] = {}
        for upper, lower in links:
            neighbours.setdefault(lower if down else upper, []).append(upper if down else lower)
        levels = range(1, len(self._order)) if down else range(len(self._order) - 2, -1, -1)
        for i in levels:
            places = self._places()
            means = {
                name: sum(places[n] for n in neighbours[name]) / len(neighbours[name]) if name in neighbours else x
                for name, x in places.items()
            }
            self._order[i].sort(key=lambda name: (means[name], name))

    def _width(self, name: str) -> float:
        return self.boxes[name].width if name in self.boxes else _LANE

    def _row(self, names: Sequence[str]) -> float:
        return sum(map(self._width, names)) + _GAP * (len(names) - 1)

    def _places(self) -> dict[str, float]:
        """The middle of everything on its floor; floors are centred."""
        places = {}
        for names in self._order:
            x = (self.width - self._row(names)) / 2
            for name in names:
                places[name] = x + self._width(name) / 2
                x += self._width(name) + _GAP
        return places

    @property
    def width(self) -> float:
        """Of the widest floor."""
        return max(map(self._row, self._order))

    def _heights(self) -> list[float]:
        return [max(box.height for box in floor) for floor in self.floors]

    @property
    def height(self) -> float:
        """Of all floors and what is between them."""
        return sum(self._heights()) + _FLOOR * (len(self.floors) - 1)

    def svg(self, left: float, top: float) -> list[str]:
        """Drawn with its upper left corner at (left, top)."""
        places, tops, y = self._places(), [], top
        for height in self._heights():
            tops.append(y)
            y += height + _FLOOR
        level = {name: i for i, names in enumerate(self._order) for name in names}
        parts = []
        for chain in self._chains:
            parts.append(f'<path class="arrow" d="{self._path(chain, places, level, tops, left)}"/>')
        for name, box in self.boxes.items():
            parts += box.svg(left + places[name] - box.width / 2, tops[level[name]])
        return parts

    def _path(
        self, chain: list[str], places: Mapping[str, float], level: Mapping[str, int], tops: list[float], left: float
    ) -> str:
        """From the bottom of the first box to the top of the last, straight past the floors between."""
        heights = self._heights()
        x, first = left + places[chain[0]], level[chain[0]]
        y = tops[first] + self.boxes[chain[0]].height
        path = f"M{x:.1f},{y:.1f}"
        if y < tops[first] + heights[first]:
            y = tops[first] + heights[first]
            path += f"V{y:.1f}"
        for name in chain[1:]:
            i = level[name]
            new, middle = left + places[name], (y + tops[i]) / 2
            path += f"C{x:.1f},{middle:.1f} {new:.1f},{middle:.1f} {new:.1f},{tops[i]:.1f}"
            x, y = new, tops[i]
            if name not in self.boxes:
                y += heights[i]
                path += f"V{y:.1f}"
        return path


def picture(floors: Floors) -> str:
    """The SVG of a whole house."""
    width, height = floors.width + 2 * _MARGIN, floors.height + 2 * _MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">'
    ground = f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>'
    body = floors.svg(_MARGIN, _MARGIN)
    return "\n".join([head, f"<style>{_STYLE}</style><defs>{_HEAD}</defs>", ground, *body, "</svg>"]) + "\n"
