"""log p(x) of each datum between a lower and an upper value, as a table."""

from collections import Counter
from collections.abc import Sequence

from elbowroom.entrances import checked
from elbowroom.inference import Bracket, Estimate
from elbowroom.inference.showing.numbers import in_short
from elbowroom.report.records.number_format import significant, with_error
from elbowroom.report.tables.render import Part, Sheet, note, render, warning

_LEAST_ERROR = 1e-4  # nats: what is known better is exact for a reader
_DECIMALS = 4
_COLUMNS = (("datum", "right"), ("lower", "right"), ("upper", "right"), ("width", "right"), ("methods", "left"))


@checked
def bracket_table(
    bracket: Bracket,
    *,
    data: Sequence[int] | None = None,
    most: int = 12,
    width: int | None = None,
    color: bool | None = None,
) -> str:
    """The mean of both sides over the data, and the brackets of some data with the reasons not to rely on them.

    Args:
        bracket: from `bracket`.
        data: which data to show (default: the `most` least certain ones, flagged ones first).
        most: so many rows at most.
        width, color: see `render`.

    Raises:
        ValueError: for data that are not there.
    """
    chosen = bracket.least_certain(most) if data is None else list(data)
    if absent := [b for b in chosen if not 0 <= b < len(bracket)]:
        raise ValueError(f"data must be indices 0 … {len(bracket) - 1}, got {absent}")
    return render([*_summary(bracket), *_rows(bracket, chosen)], width=width, color=color)


def _summary(bracket: Bracket) -> list[Part]:
    both = (bracket.lower.value.isfinite() & bracket.upper.value.isfinite()).nonzero().flatten()
    whom = f"{len(bracket)}" if len(both) == len(bracket) else f"{len(both)} of {len(bracket)}"
    parts: list[Part] = [warning(f"! {text}") for text in in_short(bracket.unnormalised)]
    if len(both):
        columns = [("", "left"), ("mean ± error", "right"), ("over data", "right"), ("methods", "left")]
        sheet = Sheet(f"log p(x) of {whom} data, nats per datum", columns)
        for name, side in (("lower", bracket.lower), ("upper", bracket.upper)):
            part = Estimate(side.value[both], side.stderr[both], side.bound)
            methods = Counter(side.info["method"][b] for b in both.tolist()).most_common()
            spread = part.spread()
            sheet.add(
                name,
                with_error(*part.mean(), max_decimals=_DECIMALS),
                f"± {significant(spread)}" if spread == spread else "–",
                ", ".join(f"{method} ({count})" for method, count in methods),
            )
        parts.append(sheet)
    settled = int(bracket.settled.sum())
    sentence = f"{settled} of {len(bracket)} data settled: both sides within {bracket.tolerance:g} nats (95 %), no flag"
    return [*parts, note(f"{sentence}; {bracket.seconds:.1f} s")]


def _rows(bracket: Bracket, chosen: Sequence[int]) -> list[Part]:
    if not chosen:
        return []
    shown = "" if len(chosen) == len(bracket) else f", {len(chosen)} of {len(bracket)}"
    sheet = Sheet(f"Bracket of each datum{shown}, nats", _COLUMNS)
    reasons: list[Part] = []
    for b in chosen:
        numbers = [
            with_error(float(side.value[b]), float(side.stderr[b]), max_decimals=_DECIMALS)
            for side in (bracket.lower, bracket.upper)
        ]
        mark = " !" if bracket.flags[b] else ""
        sheet.add(f"{b}{mark}", *numbers, _width(float(bracket.width[b])), bracket.method(b))
        if bracket.flags[b]:
            reasons.append(warning(f"! datum {b}: {bracket.flags[b]}"))
        if bracket.notes[b]:
            reasons.append(note(f"  datum {b}: {bracket.notes[b]}"))
    legend = "Lower and upper ± standard error; width: of the 95 % interval around both."
    rest = sum(map(bool, bracket.flags)) - sum(bool(bracket.flags[b]) for b in chosen)
    if rest:
        reasons.append(warning(f"! {rest} more data are flagged"))
    return [sheet, note(legend), *reasons]


def _width(width: float) -> str:
    return f"<{_LEAST_ERROR:g}" if width < _LEAST_ERROR else significant(width)
