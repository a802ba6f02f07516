"""How the notebooks' figures look and are shown: large enough for a slide, each with a sentence for who cannot see it.

`execute.py` keeps every figure that is shown here as SVG and PNG, and its sentence beside it (`gallery.py`).
"""

from typing import Any

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

plt.rcParams.update(
    {
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 12,
        "axes.labelsize": 11,
        "font.size": 11,
        "legend.fontsize": 10,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "elbowroom",
    }
)


def show(figure: Figure, alt: str) -> None:
    """Show a figure; `alt` says in a sentence or two what is to be seen in it."""
    display(figure, metadata={"alt": " ".join(alt.split())})
    plt.close(figure)  # or the kernel shows it once more at the end of the cell


def name_line(
    axis: Axes, x: Any, y: Any, text: str, style: dict[str, Any], *, dx: float = 6, dy: float = 0, ha: str = "left"
) -> None:
    """Write the name of a line beside one of its points, in its colour: nobody has to look up a legend."""
    axis.annotate(
        text,
        (float(x), float(y)),
        textcoords="offset points",
        xytext=(dx, dy),
        color=style["color"],
        fontsize=10,
        ha=ha,
        va="center",
        annotation_clip=False,
    )
