"""What a deviation from uniform ranks says of the guide, in plain words."""

import math

from scipy import stats
from torch import Tensor

from elbowroom.inference.diagnostics.calibration.uniformity import GRID, Uniformity
from elbowroom.inference.estimate import NORMAL_95

_ECDF, _MEAN, _SPREAD = range(3)


def of_latent(name: str, tests: Uniformity, q: int, limit: float) -> str:
    """What the ranks of a latent say of q; `limit` is what a part's p-value must not exceed to be named."""
    clauses = []
    if _is_significant(tests, q, _SPREAD, limit):
        narrow = float(tests.spread[q]) > 1
        clauses.append(
            f"q is too {'narrow' if narrow else 'wide'} for {name}: it is {'over' if narrow else 'under'}-confident, "
            f"true values lie {'in its tails' if narrow else 'near its middle'} too often, as if its standard "
            f"deviation should be {_ratio(tests, q)} times as large"
        )
    if _is_significant(tests, q, _MEAN, limit):
        low = float(tests.shift[q]) > 0
        clauses.append(
            f"q is biased {'low' if low else 'high'} for {name}: true values lie {_size(tests, q)} of its standard "
            f"deviations {'above' if low else 'below'} its middle on average"
        )
    return "; ".join(clauses) or f"the shape of q is wrong for {name}: {_where(tests.difference[:, q])}"


def of_density(name: str, tests: Uniformity, q: int, limit: float) -> str:
    """What the ranks of log p(x, z) say of q."""
    if _is_significant(tests, q, _MEAN, limit):
        if tests.shift[q] > 0:
            return (
                f"draws of q have a lower {name} than true values: q is spread over too much room, or it does not "
                "follow x"
            )
        return f"draws of q have a higher {name} than true values: q is too narrow, it is over-confident"
    if _is_significant(tests, q, _SPREAD, limit):
        if tests.spread[q] > 1:
            return f"{name} of true values is often outside of what q draws: q fits some data too tightly, or is off"
        return f"{name} of true values is in the middle of what q draws too often: q is too wide for some data"
    return f"{name} of true values and of draws of q disagree: {_where(tests.difference[:, q])}"


def of_coverage(name: str, tests: Uniformity, q: int, limit: float) -> str:
    """What the coverage of highest-density regions says of q.

    u is the content of the smallest region that holds the true value.
    """
    if _is_significant(tests, q, _MEAN, limit):
        over, half = tests.shift[q] > 0, len(GRID) // 2
        return (
            f"q is {'over' if over else 'under'}-confident: its 50 % highest-density regions hold "
            f"{100 * (0.5 + float(tests.difference[half, q])):.0f} % of the true values, its 90 % ones "
            f"{100 * (0.9 + float(tests.difference[round(0.9 * (len(GRID) - 1)), q])):.0f} %"
        )
    return f"highest-density regions of q do not hold what they should: {_where(tests.difference[:, q])}"


def of_tarp(name: str, tests: Uniformity, q: int, limit: float) -> str:
    """What distances to reference points, which lie where the model pulls q, say of q.

    u is small if the true value is near.
    """
    clauses = []
    if _is_significant(tests, q, _MEAN, limit):
        near = tests.shift[q] < 0
        clauses.append(
            f"true values lie {'nearer to' if near else 'farther from'} the reference points, where the model pulls q, "
            f"than draws of q do: q is {'biased, or too wide in many directions' if near else 'too narrow'}"
        )
    if _is_significant(tests, q, _SPREAD, limit):
        narrow = tests.spread[q] > 1
        clauses.append(
            f"q is too {'narrow' if narrow else 'wide'}: distances to the reference points spread "
            f"{_ratio(tests, q)} times as much for true values as for its draws"
        )
    return "; ".join(clauses) or f"regions around the reference points: {_where(tests.difference[:, q])}"


def _is_significant(tests: Uniformity, q: int, part: int, limit: float) -> bool:
    return float(tests.parts[part, q]) <= limit


def _size(tests: Uniformity, q: int) -> str:
    """The shift and its 95 % interval; past one standard deviation, places near 0 and 1 hide how far it goes."""
    shift = abs(float(tests.shift[q]))
    error = NORMAL_95 * float(tests.spread[q]) / math.sqrt(tests.size)
    return f"{shift:.2f} ± {error:.2f}{' or more' if shift > 1 else ''}"


def _ratio(tests: Uniformity, q: int) -> str:
    """Return the spread with its 95 % interval from χ²(N − 1).

    It is a limit from below only if it is above one: true values beyond all draws of q do not show how far beyond.
    """
    low, high = (math.sqrt((tests.size - 1) / stats.chi2.isf(p, tests.size - 1)) for p in (0.025, 0.975))
    spread = float(tests.spread[q])
    if spread > 1:
        return f"{spread:.2f} or more (at least {low * spread:.2f})"
    return f"{spread:.2f} ({low * spread:.2f} to {high * spread:.2f})"


def _where(difference: Tensor) -> str:
    k = int(difference.abs().argmax())
    expected = 100 * float(GRID[k])
    return f"{expected + 100 * float(difference[k]):.0f} % of them are where {expected:.0f} % should be"
