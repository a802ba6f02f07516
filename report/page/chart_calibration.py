"""Calibration curves: rank ECDF differences, coverage and TARP, each with its simultaneous band."""

from collections.abc import Sequence

from markupsafe import Markup
from torch import Tensor

from elbowroom.inference.diagnostics.calibration import Calibration
from elbowroom.report.page.svg import Plot
from elbowroom.report.records.number_format import significant

MOST = 6
"""So many rank curves are drawn, those that leave their band the farthest first."""
_HEIGHT = 150


def rank_charts(calibration: Calibration) -> list[tuple[str, bool, Markup]]:
    """For the worst quantities: name, whether the test of its ranks rejects, and the drawing."""
    outside = _outside(calibration.ecdf_difference, calibration.band_low, calibration.band_high)  # [Q]
    worst = outside.argsort(descending=True, stable=True)[:MOST].tolist()
    rejected = {check.name for check in calibration.rejected}
    return [
        (calibration.quantities[q], f"ranks of {calibration.quantities[q]}" in rejected, _rank_chart(calibration, q))
        for q in worst
    ]


def coverage_chart(calibration: Calibration) -> Markup:
    """Coverage of the guide's highest-density regions against their level."""
    return _diagonal(
        calibration,
        calibration.coverage,
        calibration.coverage_low,
        calibration.coverage_high,
        "Coverage of the guide's regions",
    )


def tarp_chart(calibration: Calibration) -> Markup:
    """Expected coverage of TARP regions against their level."""
    return _diagonal(
        calibration, calibration.tarp, calibration.tarp_low, calibration.tarp_high, "Expected coverage by TARP"
    )


def _rank_chart(calibration: Calibration, q: int) -> Markup:
    difference = calibration.ecdf_difference[:, q]
    edge = 1.15 * max(float(difference.abs().max()), float(calibration.band_high.abs().max()), 0.02)
    plot = Plot((0, 1), (-edge, edge), _HEIGHT)
    _curve(plot, calibration.grid, difference, calibration.band_low, calibration.band_high)
    plot.line((0, 1), (0, 0), "zero")
    largest = difference[difference.abs().argmax()]
    words = f"The largest difference from uniform ranks is {significant(float(largest), 2)}."
    return plot.svg(
        f"Ranks of {calibration.quantities[q]}",
        f"{words} {_band_sentence(difference, calibration.band_low, calibration.band_high)}",
    )


def _diagonal(calibration: Calibration, curve: Tensor, low: Tensor, high: Tensor, title: str) -> Markup:
    plot = Plot((0, 1), (0, 1), _HEIGHT + 30)
    _curve(plot, calibration.grid, curve, low, high, ticks=[0, 0.25, 0.5, 0.75, 1.0])
    plot.line((0, 1), (0, 1), "zero")
    near_90 = int((calibration.grid - 0.9).abs().argmin())
    level, share = float(calibration.grid[near_90]), float(curve[near_90])
    words = f"Regions of level {level:.2f} hold the truth {100 * share:.0f} % of the time."
    return plot.svg(title, f"{words} {_band_sentence(curve, low, high)}")


def _curve(
    plot: Plot, grid: Tensor, curve: Tensor, low: Tensor, high: Tensor, ticks: Sequence[float] | None = None
) -> None:
    plot.side_axis(ticks)
    plot.band(grid.tolist(), low.tolist(), high.tolist(), "band")
    plot.curve(grid.tolist(), curve.tolist(), "curve")
    plot.axis("rank, as a share" if ticks is None else "level of the region", [0, 0.25, 0.5, 0.75, 1.0])


def _outside(curves: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """How far each curve `[K, Q]` leaves its band, `[Q]`; negative or zero inside."""
    above, below = curves - high[:, None], low[:, None] - curves
    return above.maximum(below).nan_to_num(-1.0).amax(0)


def _band_sentence(curve: Tensor, low: Tensor, high: Tensor) -> str:
    leaves = bool(_outside(curve[:, None], low, high)[0] > 0)
    return "The curve leaves its band." if leaves else "The curve stays within its band."
