"""95 % intervals: of means, shares and medians over data, all of them or a random sample, and of single numbers."""

import math

import torch
from scipy.stats import t as student
from torch import Tensor

from elbowroom.inference.audit.result import Number
from elbowroom.inference.estimate import NORMAL_95 as Z
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.gap.log_p import Sides

MONTE_CARLO = "Monte Carlo"
"""Of what an interval is that other random numbers would move, and other data do not come into."""


DRAWN_ANEW = "data drawn anew"
"""Of what an interval is that takes the data for a sample of all that there might be."""


def mean(estimate: Estimate, index: Tensor, num_data: int, about: str, unit: str = "nats") -> Number:
    """The mean over the data at `index`; where they are a sample of more data, their spread counts too, by Student's t.

    What `info` says of the `Sides` of log p(x) counts: half-widths do not average out, and are added as they are; where
    a datum's value is known from below only the interval has no upper end.
    """
    sides: Sides = estimate.info
    value, stderr, n = estimate.value[index].double(), estimate.stderr[index].double(), len(index)
    half = sides.get("half_width", torch.zeros_like(estimate.value))[index].double()
    variance = float((stderr.square() - half.square()).clamp_min(0.0).sum()) / n**2
    if n < num_data:
        spread = float(value.var()) * (float(student.ppf(0.975, n - 1)) / Z) ** 2 if n > 1 else math.inf
        variance += (1 - n / num_data) * spread / n
        about += f"; of {n} data, a random sample of {num_data}"
    kind = _kind(n, num_data)
    middle, error = float(value.mean()), Z * math.sqrt(variance) + float(half.mean())
    if (one_sided := sides.get("one_sided")) is not None and bool(one_sided[index].any()):
        about = f"{about}; log p(x) of some is known from below only"
        return Number(middle, middle - error, math.inf, unit, about, kind)
    return Number(middle, middle - error, middle + error, unit, about, kind)


def share(marks: Tensor, num_data: int, about: str) -> Number:
    """The share of data with a mark, with Wilson's interval (Wilson 1927) where they are a sample of more data."""
    n, p = len(marks), float(marks.double().mean())
    about += f"; of {n}" + (f" data, a random sample of {num_data}" if n < num_data else "")
    if n >= num_data:
        return Number(p, p, p, "share", about)
    size = n * (num_data - 1) / (num_data - n)  # a sample without replacement tells as much as so many with
    middle, half = p + Z**2 / (2 * size), Z * math.sqrt(p * (1 - p) / size + Z**2 / (4 * size**2))
    scale = 1 + Z**2 / size
    low, high = max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
    return Number(p, min(p, low), max(p, high), "share", about, _kind(n, num_data))


def median(estimate: Estimate, index: Tensor, num_data: int, about: str) -> Number:
    """The median over the data at `index`, with its distribution-free interval (order statistics).

    Errors of the values move both ends.
    """
    value, stderr, n = estimate.value[index].double(), estimate.stderr[index].double(), len(index)
    rest = (num_data - n) / max(num_data - 1, 1)  # none of the interval is left where these are all data
    half = Z * math.sqrt(n * rest) / 2
    first, last = math.floor((n - 1) / 2 - half), math.ceil((n - 1) / 2 + half)
    low = (value - Z * stderr).sort().values[max(0, first)] if first >= 0 else -torch.inf
    high = (value + Z * stderr).sort().values[last] if last < n else torch.inf
    return Number(float(value.quantile(0.5)), float(low), float(high), "nats", about, _kind(n, num_data))


def count(marks: Tensor, about: str) -> Number:
    """How many data have a mark: counted, so there is no interval."""
    return exactly(float(marks.sum()), "data", f"{about}, of {len(marks)}")


def exactly(value: float, unit: str, about: str) -> Number:
    """A number known exactly, or only counted: an interval of no width."""
    return Number(value, value, value, unit, about)


def normal(value: float, stderr: float, unit: str, about: str, kind: str = MONTE_CARLO) -> Number:
    """A normal estimate with a standard error."""
    return Number(value, value - Z * stderr, value + Z * stderr, unit, about, kind)


def of_one(estimate: Estimate, about: str, kind: str = MONTE_CARLO) -> Number:
    """The estimate of one number, `[1]`, nats."""
    return normal(float(estimate.value[0]), float(estimate.stderr[0]), "nats", about, kind)


def unbounded(values: Tensor, unit: str, about: str) -> Number:
    """The plain mean of values that no interval can be given for."""
    value = float(values.mean())
    return Number(value, -math.inf, math.inf, unit, about)


def largest(values: Tensor, stderr: Tensor, about: str) -> Number:
    """The largest of some shares, with the interval of that one."""
    value, worst = values.nan_to_num(-torch.inf).max(0)
    if not math.isfinite(float(value)):
        return Number(math.nan, 0.0, 1.0, "share", about)
    error = Z * float(stderr[worst])
    low, high = max(0.0, float(value) - error), min(1.0, float(value) + error)
    return Number(float(value), low, high, "share", about, MONTE_CARLO)


def _kind(n: int, num_data: int) -> str:
    """Whether an interval is of the choice of the data, or of random numbers alone."""
    return f"{n} data as a sample of {num_data}" if n < num_data else MONTE_CARLO
