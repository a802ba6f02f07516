"""How all figures look, and how they are saved."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from elbowroom.entrances import checked
from elbowroom.inference.saving.durable import replace_file
from elbowroom.report.records.palette import PALETTE

EXACT, GUIDE, DRAWS, BOUND, SAMPLED, OTHER, DATA, OUTER, INNER = (
    PALETTE[name].light
    for name in ("exact", "guide", "draws", "bound", "sampled", "other", "data", "posterior-outer", "posterior")
)
EXACT_SHADES = ("#e4e4e4", OUTER, INNER)  # regions of the exact posterior, outermost first

_DPI = 150
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.grid": False,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "figure.dpi": 100,
    "figure.titlesize": 12.5,
    "font.size": 10,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "savefig.dpi": _DPI,
    "svg.hashsalt": "elbowroom",
    "xtick.color": "#444444",
    "xtick.labelsize": 8.5,
    "ytick.color": "#444444",
    "ytick.labelsize": 8.5,
}
_UNDATED: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".svg": {"Date": None, "Creator": None},
}


class Picture(Figure):
    """A figure that belongs to no window system: a notebook shows it as it is, whatever its backend."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with styled():
            self.savefig(buffer, format="png", bbox_inches="tight")
        return buffer.getvalue()


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib's defaults and this package's style inside, the caller's settings again outside."""
    with matplotlib.style.context(["default", _STYLE]):  # leaves the backend alone
        yield


def new_figure(width: float, height: float) -> Picture:
    """An empty figure of so many inches, laid out without overlaps; call it and draw within `styled()`."""
    return Picture(figsize=(width, height), layout="constrained")


@checked
def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure, cropped, whole or not at all; the same figure gives the same bytes. Closes it.

    Args:
        figure: any matplotlib figure.
        path: its suffix says the format: `.png`, `.pdf` or `.svg`.

    Raises:
        ValueError: on another suffix.
        WriteError: as of `replace_file`.
    """
    path = Path(path)
    if path.suffix not in _UNDATED:
        raise ValueError(f"path: got suffix {path.suffix!r} in {path}, expected one of {', '.join(_UNDATED)}")
    drawn = io.BytesIO()
    with styled():
        figure.savefig(drawn, format=path.suffix[1:], dpi=_DPI, bbox_inches="tight", metadata=_UNDATED[path.suffix])
    replace_file(path, drawn.getvalue())
    if "matplotlib.pyplot" in sys.modules:  # only pyplot keeps figures open
        sys.modules["matplotlib.pyplot"].close(figure)
    return path
