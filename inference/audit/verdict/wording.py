"""Numbers in sentences: rounded to what their intervals leave certain."""

import math

from elbowroom.inference.audit.result import Number

_MOST_DECIMALS = 2
_MORE_BELOW = 0.1  # in size: such numbers are shown with one decimal more


def nats(number: Number) -> str:
    """`3.12 (3.08 to 3.17)`; without the interval where it is shorter than what is shown."""
    most = _MOST_DECIMALS + (abs(number.value) < _MORE_BELOW)
    places = min(most, decimals(number.high - number.low))
    value = f"{_plain(number.value, places)}"
    if math.isinf(number.high) and math.isfinite(number.low):
        return f"{value} or more"
    if not math.isfinite(number.high - number.low):
        return value
    low, high = _plain(number.low, places), _plain(number.high, places)
    return value if low == high else f"{value} ({low} to {high})"


def value_and_interval(number: Number) -> tuple[str, str]:
    """The two parts of `nats`, `3.12` and `3.08 to 3.17`; the second is empty where `nats` leaves it out."""
    value, _, interval = nats(number).partition(" (")
    return value, interval.removesuffix(")")


def percent(number: Number) -> str:
    """`93 % (89 to 96)`; with decimals where a whole percentage would say none, or all, of what is not quite."""
    apart = (places for places in range(4) if 0 < round(100 * number.value, places) < 100)
    places = next(apart, 0)
    value, low, high = (f"{100 * v:.{places}f}" for v in (number.value, number.low, number.high))
    return f"{value} %" if low == high else f"{value} % ({low} to {high})"


def whole(number: Number) -> str:
    """A count."""
    return f"{number.value:.0f}"


def decimals(width: float) -> int:
    """Places after the point that show two digits of an interval of a width."""
    if not math.isfinite(width) or width <= 0:
        return _MOST_DECIMALS + 1
    return max(0, 1 - math.floor(math.log10(width)))


def plural(count: int, singular: str, many: str) -> str:
    """`1 datum`, `3 data`."""
    return f"{count} {singular if count == 1 else many}"


def listed(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + f" and {items[-1]}"


def _plain(value: float, places: int) -> str:
    if math.isfinite(value) and abs(value) >= 1e6:
        return f"{value:.3g}"
    text = f"{value:.{places}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")
