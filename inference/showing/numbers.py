"""Numbers as they are shown: with their errors, with intervals of means, flags counted, the doubtful ones first."""

import math
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from elbowroom.inference.showing.table import LINES

_TIMES = 1.959964  # standard errors on either side of a 95 % interval


def plain(value: float, digits: int = 3) -> str:
    """`-84.481`, zero without a sign; a million or more in four digits, for which no column has room otherwise."""
    return f"{value:z.{digits}f}" if not abs(value) >= 1e6 else f"{value:.4g}"


def with_error(value: float, error: float, significant: int = 1) -> str:
    """`-84.48 ± 0.01`: so many significant digits of the error, in two to four decimals; `± 2e-10` below them."""
    digits = _decimals(error, significant)
    return f"{plain(value, digits)} ± {f'{error:.0e}' if 0 < error < 0.5e-4 else plain(error, digits)}"


def mean_with_interval(value: Tensor, stderr: Tensor, unit: str = "nats") -> str:
    """The mean over the data whose numbers are known, with the 95 % interval of *estimating* it (data held fixed).

    The standard error is √(Σ_b stderr_b²) / n: the data are independent streams of noise.

    Args:
        value, stderr: `[B]`.
        unit: of both; empty if there is none.
    """
    known = value.isfinite()
    count, unit = int(known.sum()), unit and " " + unit
    if not count:
        return "no datum has a finite value"
    whom = "" if count == len(value) else f" of the {count} data with a finite value"
    mean = value[known].double().mean().item()
    error = (stderr[known].double().square().sum().sqrt() / count).item()
    digits = _decimals(error, 2)
    low, high = mean - _TIMES * error, mean + _TIMES * error
    return f"{with_error(mean, error, 2)}{unit}{whom} (95 %: {plain(low, digits)} … {plain(high, digits)})"


def flag_counts(flags: Sequence[str], most: int = 4) -> tuple[str, ...]:
    """How many data are flagged, and the most frequent kinds of reasons; nothing if none is."""
    flagged = [flag for flag in flags if flag]
    if not flagged:
        return ()
    kinds = _kinds([part for flag in flagged for part in dict.fromkeys(flag.split("; "))])
    lines = [f"{len(flagged)} of {len(flags)} data flagged: not to be trusted as they are"]
    if len(flags) > 1:
        lines += [f"  {count} × {kind}" for kind, count in kinds[:most]]
        lines += [f"  … and {len(kinds) - most} more kinds of reasons"] if len(kinds) > most else []
    return tuple(lines)


def in_short(texts: Sequence[str]) -> list[str]:
    """Sentences of data, each once with how many data it holds for, the most frequent first: to be said of a mean."""
    counts = Counter(filter(None, texts)).most_common()
    return [f"{text} ({count} of {len(texts)} data)" for text, count in counts]


def flagged_first(flags: Sequence[str], doubt: Tensor | None = None, most: int = LINES) -> list[int]:
    """Indices of the data to show: flagged ones first, among them those of most doubt; at most so many.

    Args:
        flags: of each datum.
        doubt: the larger the more a datum needs a look, `[B]`; NaN most of all. By default in order.
    """
    marked = torch.tensor([not flag for flag in flags]).long()
    if doubt is None:
        return marked.argsort(stable=True)[:most].tolist()
    longest = doubt.double().cpu().nan_to_num(nan=torch.inf).argsort(descending=True, stable=True)
    return longest[marked[longest].argsort(stable=True)][:most].tolist()


def _decimals(error: float, significant: int) -> int:
    if not math.isfinite(error) or error <= 0:
        return 3
    return min(max(significant - 1 - math.floor(math.log10(error)), 2), 4)


def _kinds(reasons: Sequence[str]) -> list[tuple[str, int]]:
    """Reasons without what is of one datum alone, and how often each is given, the most frequent first.

    What stands behind a colon is left out, and numbers in which reasons of a kind differ are `…`.
    """
    kinds: dict[tuple[str, ...], list[list[str]]] = {}
    for reason in reasons:
        words = reason.split(":")[0].split()
        kinds.setdefault(tuple("" if any(map(str.isdigit, word)) else word for word in words), []).append(words)
    told = [
        (" ".join(w[0] if len({*w}) == 1 else "…" for w in zip(*of, strict=True)), len(of)) for of in kinds.values()
    ]
    return sorted(told, key=lambda kind: -kind[1])
