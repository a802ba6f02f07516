"""A value and its error: printed to matching digits, and when two of them count as the same."""

import math

import torch
from torch import Tensor

from elbowroom.entrances import checked

MAX_DECIMALS = 6
SIGMAS = 4.0
"""A difference below so many standard errors is noise."""
_EXACT = 1e-6  # nats: two lattices agree to this, so no difference below it is one


@checked
def with_error(value: float, error: float, *, max_decimals: int = MAX_DECIMALS) -> str:
    """A value and its standard error, for example `-17.812 ± 0.013`.

    The error is rounded to one or two digits by the rule of the Particle Data Group (2024, section 5.3: two if its
    first three digits are at most 354) and the value to the same decimal place. An infinite error is `± ∞`, an unknown
    (NaN) one `± ?`, one below the last of `max_decimals` places `± <1e-6`.
    """
    if not math.isfinite(value):
        return _not_finite(value)
    if not math.isfinite(error):
        return f"{value:.4g} ± {'?' if math.isnan(error) else '∞'}"
    decimals = _decimals(error, max_decimals)
    if error == 0:
        return f"{_fixed(value, decimals)} ± 0"
    if error < 0.5 * 10.0**-max_decimals:
        return f"{_fixed(value, decimals)} ± <1e-{max_decimals}"
    return f"{_fixed(value, decimals)} ± {_fixed(error, decimals)}"


def plain(value: float, error: float, *, max_decimals: int = MAX_DECIMALS) -> str:
    """`with_error` for sentences: an error below the last of `max_decimals` places is left out."""
    text = with_error(value, error, max_decimals=max_decimals)
    return text.partition(" ± ")[0] if error < 0.5 * 10.0**-max_decimals else text


def compact(value: float, error: float, *, max_decimals: int = MAX_DECIMALS) -> str:
    """`with_error` in fewer columns: `-17.812(13)`, the error in units of the last digit shown.

    An error of one or more is written out where decimals are shown, `17.8(1.2)`; one below the last of `max_decimals`
    places is left out.
    """
    if not math.isfinite(value):
        return _not_finite(value)
    if not math.isfinite(error):
        return f"{value:.4g}({'?' if math.isnan(error) else '∞'})"
    decimals = _decimals(error, max_decimals)
    shown = _fixed(value, decimals)
    if error < 0.5 * 10.0**-max_decimals:
        return shown
    in_full = decimals <= 0 or error >= 1
    return f"{shown}({_fixed(error, decimals) if in_full else round(error * 10**decimals)})"


def significant(value: float, digits: int = 2) -> str:
    """A number to so many significant digits, without an exponent: `0.020`, `13`, `1200`."""
    if not math.isfinite(value):
        return _not_finite(value)
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    return _fixed(rounded, max(0, digits - 1 - math.floor(math.log10(abs(rounded)))))


def in_standard_errors(difference: Tensor, *errors: Tensor) -> Tensor:
    """A difference in units of its standard error, which is never taken to be below a fourth of 1e-6 nats."""
    return difference / torch.stack([*errors, torch.full_like(difference, _EXACT / SIGMAS)]).square().sum(0).sqrt()


def _decimals(error: float, most: int) -> int:
    """The decimal place of the error's last digit that is worth printing; negative left of the point."""
    if error <= 0:
        return most
    exponent = math.floor(math.log10(error))
    leading = round(error / 10.0 ** (exponent - 2))  # its first three digits, 100 … 1000
    digits = 2 if leading <= 354 else 1  # one digit that rounds up to the next power of ten shows as two: 0.10
    return min(digits - 1 - exponent, most)


def _fixed(value: float, decimals: int) -> str:
    text = f"{round(value, decimals):.{max(decimals, 0)}f}"
    return text.removeprefix("-") if float(text) == 0 else text  # no "-0.00"


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "∞" if value > 0 else "-∞"
