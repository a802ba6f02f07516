"""Numbers of an audit as text, for cells and captions; its sentences have their own, with intervals in brackets."""

import math
from collections.abc import Mapping

from elbowroom.inference.audit import Finding, Number
from elbowroom.inference.estimate import NORMAL_95
from elbowroom.report.records.number_format import significant, with_error

DECIMALS = 4
_HUGE = 1e6  # nats: the digits of what is larger say nothing


def amount(value: float, error: float = 0.0, *, signed: bool = False) -> str:
    """An amount with its standard error, `1.25 ± 0.02`, mostly of nats; huge ones by their size alone."""
    if math.isfinite(value) and abs(value) >= _HUGE:
        return _minus(f"{value:.2g}")
    text = with_error(value, error, max_decimals=DECIMALS)
    if error == 0 or (math.isfinite(error) and error < 0.5 * 10.0**-DECIMALS):
        text = text.partition(" ± ")[0]
    return ("+" if signed and value > 0 else "") + _minus(text)


def short(value: float, digits: int = 3) -> str:
    """A number to a few digits; a dash if there is none."""
    if math.isfinite(value) and abs(value) >= _HUGE:
        return _minus(f"{value:.2g}")
    if math.isfinite(value) and 0 < abs(value) < 1e-4:
        return _minus(f"{value:.0e}")
    return _minus(significant(value, digits))


def share_text(share: float) -> str:
    """A share as a percentage."""
    if not math.isfinite(share):
        return "–"
    decimals = 1 if 0 < share < 0.0995 or 0.9905 < share < 0.9995 else 0
    return f"{100 * share:.{decimals}f} %"


def value_text(number: Number) -> str:
    """The estimate with its unit, to as many digits as the interval is worth."""
    return _with_unit(number, number.value)


def interval_text(number: Number) -> str:
    """The 95 % interval in words; an open end is said to be one."""
    low, high = math.isfinite(number.low), math.isfinite(number.high)
    if low and number.low == number.high:
        return "counted"
    if low and high:
        ends = _with_unit(number, number.low, False), _with_unit(number, number.high, False)
        if ends[0] == ends[1] == _with_unit(number, number.value, False):
            return "no wider than shown"
        return f"{ends[0]} to {_with_unit(number, number.high)}"
    if low:
        return f"at least {_with_unit(number, number.low)}"
    return f"at most {_with_unit(number, number.high)}" if high else "unknown"


def kinds_of(finding: Finding, numbers: Mapping[str, Number]) -> str:
    """What the intervals in a sentence are of: `Intervals: Monte Carlo`; empty where it has none."""
    found = [numbers[key] for key in finding.numbers if key in numbers]
    kinds = dict.fromkeys(number.kind for number in found if number.kind and number.low < number.high)
    return f"Intervals: {'; or '.join(kinds)}" if kinds else ""


def seconds_text(seconds: float) -> str:
    """A duration: `0.4 s`, `21 s`, `3 min 05 s`."""
    if seconds < 100:
        return f"{significant(seconds, 2)} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def count(number: int, one: str = "datum", many: str = "data") -> str:
    """`1 datum`, `3 data`."""
    return f"{number:,} {one if number == 1 else many}"


def _with_unit(number: Number, value: float, unit: bool = True) -> str:
    if not math.isfinite(value):
        return short(value)
    if number.unit == "share":
        return share_text(value) if unit else share_text(value).removesuffix(" %")
    if number.unit in ("data", "") and value == round(value) and abs(value) < _HUGE:
        return f"{_minus(f'{value:,.0f}')}{' data' if unit and number.unit else ''}"
    if number.unit == "p":
        return short(value, 2)
    ends = [abs(end - number.value) for end in (number.low, number.high) if math.isfinite(end)]
    error = max(ends) / NORMAL_95 if ends else 0.0
    if error <= 0 or not math.isfinite(value) or abs(value) >= _HUGE:
        text = short(value, 4)
    else:
        text = _minus(with_error(value, error, max_decimals=DECIMALS).partition(" ± ")[0])
    return f"{text} {number.unit}" if unit and number.unit in ("nats", "sd") else text


def _minus(text: str) -> str:
    return text.replace("-", "−") if "e-" not in text else ("−" + text[1:] if text.startswith("-") else text)
