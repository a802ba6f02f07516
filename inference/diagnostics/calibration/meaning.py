"""What a deviation from uniform ranks says of the guide, in plain words."""

import math

from scipy import stats
from torch import Tensor

from elbowroom.inference.diagnostics.calibration.uniformity import GRID, Uniformity
from elbowroom.inference.estimate import NORMAL_95

_ECDF, _MEAN, _SPREAD = range(3)


def of_latent(name: str, found: Uniformity, q: int, limit: float) -> str:
    """Of the ranks of a latent; `limit` is what a part's p-value must not exceed to be told."""
    said = []
    if _is_told(found, q, _SPREAD, limit):
        narrow = float(found.spread[q]) > 1
        said.append(
            f"q is too {'narrow' if narrow else 'wide'} for {name}: it is {'over' if narrow else 'under'}-confident, "
            f"true values lie {'in its tails' if narrow else 'near its middle'} too often, as if its standard "
            f"deviation should be {_ratio(found, q)} times as large"
        )
    if _is_told(found, q, _MEAN, limit):
        low = float(found.shift[q]) > 0
        said.append(
            f"q is biased {'low' if low else 'high'} for {name}: true values lie {_size(found, q)} of its standard "
            f"deviations {'above' if low else 'below'} its middle on average"
        )
    return "; ".join(said) or f"the shape of q is wrong for {name}: {_where(found.difference[:, q])}"


def of_density(name: str, found: Uniformity, q: int, limit: float) -> str:
    """Of the ranks of log p(x, z)."""
    if _is_told(found, q, _MEAN, limit):
        if found.shift[q] > 0:
            return (
                f"draws of q have a lower {name} than true values: q is spread over too much room, or it does not "
                "follow x"
            )
        return f"draws of q have a higher {name} than true values: q is too narrow, it is over-confident"
    if _is_told(found, q, _SPREAD, limit):
        if found.spread[q] > 1:
            return f"{name} of true values is often outside of what q draws: q fits some data too tightly, or is off"
        return f"{name} of true values is in the middle of what q draws too often: q is too wide for some data"
    return f"{name} of true values and of draws of q disagree: {_where(found.difference[:, q])}"


def of_coverage(name: str, found: Uniformity, q: int, limit: float) -> str:
    """Of the coverage of highest-density regions: u is the smallest region's content that holds the true value."""
    if _is_told(found, q, _MEAN, limit):
        over, half = found.shift[q] > 0, len(GRID) // 2
        return (
            f"q is {'over' if over else 'under'}-confident: its 50 % highest-density regions hold "
            f"{100 * (0.5 + float(found.difference[half, q])):.0f} % of the true values, its 90 % ones "
            f"{100 * (0.9 + float(found.difference[round(0.9 * (len(GRID) - 1)), q])):.0f} %"
        )
    return f"highest-density regions of q do not hold what they should: {_where(found.difference[:, q])}"


def of_tarp(name: str, found: Uniformity, q: int, limit: float) -> str:
    """Of distances to reference points, which lie where the model pulls q: u is small if the true value is near."""
    said = []
    if _is_told(found, q, _MEAN, limit):
        near = found.shift[q] < 0
        said.append(
            f"true values lie {'nearer to' if near else 'farther from'} the reference points, where the model pulls q, "
            f"than draws of q do: q is {'biased, or too wide in many directions' if near else 'too narrow'}"
        )
    if _is_told(found, q, _SPREAD, limit):
        narrow = found.spread[q] > 1
        said.append(
            f"q is too {'narrow' if narrow else 'wide'}: distances to the reference points spread "
            f"{_ratio(found, q)} times as much for true values as for its draws"
        )
    return "; ".join(said) or f"regions around the reference points: {_where(found.difference[:, q])}"


def _is_told(found: Uniformity, q: int, part: int, limit: float) -> bool:
    return float(found.parts[part, q]) <= limit


def _size(found: Uniformity, q: int) -> str:
    """The shift with its 95 % interval; past one standard deviation, places near 0 and 1 hide how far it goes."""
    shift = abs(float(found.shift[q]))
    error = NORMAL_95 * float(found.spread[q]) / math.sqrt(found.size)
    return f"{shift:.2f} ± {error:.2f}{' or more' if shift > 1 else ''}"


def _ratio(found: Uniformity, q: int) -> str:
    """The spread with its 95 % interval from χ²(N − 1): from below only if it is above one, as true values beyond all
    draws of q do not tell how far beyond.
    """
    low, high = (math.sqrt((found.size - 1) / stats.chi2.isf(p, found.size - 1)) for p in (0.025, 0.975))
    spread = float(found.spread[q])
    if spread > 1:
        return f"{spread:.2f} or more (at least {low * spread:.2f})"
    return f"{spread:.2f} ({low * spread:.2f} to {high * spread:.2f})"


def _where(difference: Tensor) -> str:
    k = int(difference.abs().argmax())
    expected = 100 * float(GRID[k])
    return f"{expected + 100 * float(difference[k]):.0f} % of them are where {expected:.0f} % should be"
