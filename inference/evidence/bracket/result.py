"""log p(x) of every datum between a lower and an upper value."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, TypedDict

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import NORMAL_95, Bound, Estimate, reasons
from elbowroom.inference.evidence.bracket.choice import LOWER, UPPER, Side, choose, notes, suspicions, width
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.programs.arguments import picked_rows
from elbowroom.inference.showing.numbers import flag_counts, flagged_first, in_short, plain
from elbowroom.inference.showing.printed import Printed
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import LINES, Table
from elbowroom.inference.showing.text_table import aligned


class BracketSideInfo(TypedDict):
    """What one side of a bracket says besides its value.

    Keys:
        method: for each datum the method that gave the value, or an empty string where none did.
    """

    method: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class Bracket(Shown):
    """A lower and an upper value of log p(x) for each datum, each with its error and the method that gave it.

    Attributes:
        lower, upper: values and standard errors `[B]`, nats; `info`: see `BracketSideInfo`. Both know only the modes
            that were found (see `bracket`).
        flags: for each datum the reason why its bracket should not be relied on, or an empty string.
        notes: for each datum what is worth knowing though the bracket stands.
        width: length of the 95 % interval around both, `[B]`, nats.
        tolerance: the width that was asked for.
        ledger: every method's answer for every datum.
        forecast: what the first round of each stage takes for all data, as far as is known, in `unit`.
        seconds: spent, earlier calls on the same state included.
        from_below: why log p(x) was estimated from below only, by importance sampling from the guide; empty where it
            was not.
        unit: of the budget and of `forecast`: `"s"` or `"evaluations"`.
    """

    lower: Estimate[BracketSideInfo]
    upper: Estimate[BracketSideInfo]
    flags: tuple[str, ...]
    notes: tuple[str, ...]
    width: Tensor
    tolerance: float
    ledger: Ledger
    forecast: dict[str, float]
    seconds: float
    from_below: str = ""
    unit: str = "s"

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def settled(self) -> Tensor:
        """Which data are bracketed within the tolerance and without a flag, `[B]`."""
        return torch.tensor([not flag for flag in self.flags])

    @property
    def unnormalised(self) -> tuple[str, ...]:
        """For each datum why its values are no log-likelihoods, or an empty string (`Target.unnormalised`)."""
        return self.lower.unnormalised

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further reason for every datum before its own ones."""
        flags = tuple(reasons(reason, flag) for flag in self.flags)
        return replace(self, lower=self.lower.doubted(reason), upper=self.upper.doubted(reason), flags=flags)

    @checked
    def interval(self, z: float = NORMAL_95) -> tuple[Tensor, Tensor]:
        """lower − z·stderr and upper + z·stderr, `[B]` each: with the default z, 95 % intervals on each side."""
        return self.lower.value - z * self.lower.stderr, self.upper.value + z * self.upper.stderr

    @checked
    def select(self, rows: Sequence[int]) -> "Bracket":
        """The bracket of some of the data; `seconds` and `forecast` stay what all of them took."""
        rows = picked_rows(rows, len(self), "rows").tolist()
        unnormalised = tuple(self.unnormalised[b] for b in rows)
        return read(self.ledger.select(rows), self.tolerance, self.forecast, self.unit, unnormalised, self.from_below)

    @checked
    def method(self, b: int) -> str:
        """Which method gave a datum's lower and which its upper value: one name where they are one."""
        (b,) = picked_rows([b], len(self), "b").tolist()
        lower, upper = self.lower.info["method"][b], self.upper.info["method"][b].removesuffix(", upper")
        return (lower or "none") if lower == upper else f"{lower or 'none'} / {upper or 'none'}"

    @checked
    def least_certain(self, most: int) -> list[int]:
        """The flagged data with the longest intervals, then the others: at most so many."""
        return flagged_first(self.flags, self.width, most)

    @checked
    def table(self, data: list[int] | None = None, most: int = 20) -> Printed:
        """The mean bracket, and a row for each of the chosen data, or of the `most` data that are least certain; nats.

        Raises:
            ValueError: for data that are not there.
        """
        chosen = self.least_certain(most) if data is None else data
        if absent := [b for b in chosen if not 0 <= b < len(self)]:
            raise ValueError(f"data must be indices 0 … {len(self) - 1}, got {absent}")
        return Printed.of([*self._head(), *aligned([_COLUMNS, *map(self._row, chosen)], _SIDES)])

    def as_table(self) -> Table:
        """The mean bracket, and the data that are least certain."""
        rows = [self._row(b) for b in self.least_certain(LINES)]
        kinds = flag_counts(self.flags)
        return Table((*self._head()[:2], *kinds), _COLUMNS, _SIDES, rows, len(self))

    def _row(self, b: int) -> tuple[str, ...]:
        numbers = (self.lower.value, self.lower.stderr, self.upper.value, self.upper.stderr)
        return (str(b), *(plain(float(n[b])) for n in numbers), self.method(b), self.flags[b] or self.notes[b])

    def _head(self) -> list[str]:
        both = (self.lower.value.isfinite() & self.upper.value.isfinite()).nonzero().flatten()
        count = int(self.settled.sum())
        reasons = Counter(flag.split(":")[0] for flag in self.flags if flag)
        lines = [f"{count} of {len(self)} data settled within {self.tolerance:g} nats, in {self.seconds:.1f} s"]
        if len(both):
            (low, low_error), (high, high_error) = (_mean(side, both) for side in (self.lower, self.upper))
            whom = "" if len(both) == len(self) else f" of {len(both)} data with both sides"
            lines.append(f"mean log p(x){whom}: from {low:.3f} ± {low_error:.3f} to {high:.3f} ± {high_error:.3f} nats")
        lines += in_short(self.unnormalised)
        return [*lines, *(f"  {n} flagged: {reason}" for reason, n in reasons.most_common(4))]


_COLUMNS = ("datum", "lower", "± error", "upper", "± error", "method", "flag")
_SIDES = ">>>>><<"


def _mean(side: Estimate, data: Tensor) -> tuple[float, float]:
    return Estimate(side.value[data], side.stderr[data], side.bound).mean()


def read(
    ledger: Ledger,
    tolerance: float,
    forecast: dict[str, float],
    unit: str = "s",
    unnormalised: tuple[str, ...] = (),
    from_below: str = "",
) -> Bracket:
    """The bracket that follows from a ledger.

    Args:
        ledger, tolerance, forecast, unit: of the bracket.
        unnormalised: as of `Target`.
        from_below: why it can have no upper side, if it can have none.
    """
    one_sided = _one_sided(forecast, unit, from_below)
    lower, upper = choose(ledger, LOWER), choose(ledger, UPPER)
    length = width(lower, upper)
    doubts = suspicions(ledger, lower, upper)
    flags = tuple(
        _flag(b, lower, upper, doubts[b], float(length[b]), tolerance, one_sided) for b in range(ledger.num_data)
    )
    return Bracket(
        lower=_estimate(lower, "lower", unnormalised),
        upper=_estimate(upper, "upper", unnormalised),
        flags=flags,
        notes=notes(ledger, lower),
        width=length,
        tolerance=tolerance,
        ledger=ledger,
        forecast=forecast,
        seconds=ledger.seconds,
        from_below=from_below,
        unit=unit,
    )


def _estimate(side: Side, bound: Bound, unnormalised: tuple[str, ...]) -> Estimate[BracketSideInfo]:
    missing = torch.tensor([not method for method in side.methods])
    nothing = torch.inf if bound == "upper" else -torch.inf
    value = torch.where(missing, nothing, side.value)
    stderr = torch.where(missing, torch.inf, side.stderr)
    return Estimate(value, stderr, bound, {"method": side.methods}, side.flags, unnormalised)


def _flag(b: int, lower: Side, upper: Side, suspicion: str, length: float, tolerance: float, one_sided: str) -> str:
    texts = "; ".join((lower.flags[b], upper.flags[b], suspicion)).split("; ")
    reasons = list(dict.fromkeys(filter(None, texts)))  # both sides may say the same
    if not upper.methods[b]:
        reasons.append(one_sided)
    elif length > tolerance and not reasons:
        reasons.append(f"the interval is {length:.2f} nats wide, more than {tolerance:g}: more time would narrow it")
    return "; ".join(reasons)


def _one_sided(forecast: dict[str, float], unit: str, from_below: str) -> str:
    """Why there is no upper value, and what one would cost."""
    missed = "so a mode that the guide misses is missed"
    if from_below or "chains" not in forecast:
        return f"no upper bound: {from_below or 'no chains were run'}, {missed}"
    chains, total = forecast["chains"], sum(forecast.values())
    return (
        f"no upper bound: the budget ended before chains were done, {missed}, and for all data they take about "
        f"{chains:.3g} {unit}, all stages about {total:.3g} {unit}"
    )
