"""How a figure tells exact values, q, draws and bounds apart: by colour, and without colour by line and marker."""

from typing import Any

from elbowroom.entrances import checked
from elbowroom.report.figures.style import BOUND, DATA, DRAWS, EXACT, GUIDE, OTHER, SAMPLED

LOOKS: dict[str, dict[str, Any]] = {
    "exact": {"color": EXACT, "linestyle": "-", "marker": "o"},
    "guide": {"color": GUIDE, "linestyle": "--", "marker": "s"},
    "draws": {"color": DRAWS, "linestyle": "-.", "marker": "^"},
    "bound": {"color": BOUND, "linestyle": ":", "marker": "v"},
    "sampled": {"color": SAMPLED, "linestyle": (0, (6, 1.5)), "marker": "D"},
    "other": {"color": OTHER, "linestyle": (0, (3, 1, 1, 1)), "marker": "P"},
    "data": {"color": DATA, "linestyle": "-", "marker": "x"},
}
"""Role -> colour, line and marker: what is exact, q, Markov chains, a bound, weighted draws, another thing, data."""


@checked
def look(role: str, **changes: Any) -> dict[str, Any]:
    """Arguments of `Axes.plot` for one role, the same in every figure.

        axis.plot(seconds, error, **look("draws"), label="HMC")

    Args:
        role: a name in `LOOKS`.
        changes: what is to be otherwise, such as `linestyle=""` for markers alone.

    Raises:
        ValueError: on another role.
    """
    if role not in LOOKS:
        raise ValueError(f"role: got {role!r}, expected one of {', '.join(LOOKS)}")
    return {**LOOKS[role], "linewidth": 1.8, "markersize": 5.5, **changes}
