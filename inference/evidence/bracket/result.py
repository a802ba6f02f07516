"""log p(x) of every datum between a lower and an upper value."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from elbowroom.inference.estimate import NORMAL_95, Bound, Estimate
from elbowroom.inference.evidence.bracket.choice import LOWER, UPPER, Side, choose, notes, suspicions, width
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.text_table import aligned


class BracketSideInfo(TypedDict):
    """What one side of a bracket says besides its value.

    Keys:
        method: for each datum the method that gave the value, or an empty string where none did.
    """

    method: tuple[str, ...]


@dataclass(frozen=True)
class Bracket:
    """A lower and an upper value of log p(x) for each datum, each with its error and the method that gave it.

    Attributes:
        lower, upper: values and standard errors `[B]`, nats; `info`: see `BracketSideInfo`. Both know only the modes
            that were found (see `bracket`).
        flags: for each datum the reason why its bracket should not be relied on, or an empty string.
        notes: for each datum what is worth knowing though the bracket stands.
        width: length of the 95 % interval around both, `[B]`, nats.
        tolerance: the width that was asked for.
        ledger: every method's answer for every datum.
        forecast: seconds that each stage was expected to take before it began, for all data.
        seconds: spent, earlier calls on the same state included.
        from_below: why log p(x) was estimated from below only, by importance sampling from the guide; empty where it
            was not.
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

    def __len__(self) -> int:
        return len(self.lower)

    @property
    def settled(self) -> Tensor:
        """Which data are bracketed within the tolerance and without a flag, `[B]`."""
        return torch.tensor([not flag for flag in self.flags])

    def interval(self, z: float = NORMAL_95) -> tuple[Tensor, Tensor]:
        """lower − z·stderr and upper + z·stderr, `[B]` each: with the default z, 95 % intervals on each side."""
        return self.lower.value - z * self.lower.stderr, self.upper.value + z * self.upper.stderr

    def select(self, rows: Sequence[int]) -> "Bracket":
        """The bracket of some of the data; `seconds` and `forecast` stay what all of them took."""
        return read(self.ledger.select(rows), self.tolerance, self.forecast, self.from_below)

    def method(self, b: int) -> str:
        """Which method gave a datum's lower and which its upper value: one name where they are one."""
        lower, upper = self.lower.info["method"][b], self.upper.info["method"][b].removesuffix(", upper")
        return (lower or "none") if lower == upper else f"{lower or 'none'} / {upper or 'none'}"

    def least_certain(self, most: int) -> list[int]:
        """The flagged data with the longest intervals, then the others: at most so many."""
        longest = self.width.argsort(descending=True, stable=True)
        return longest[self.settled[longest].long().argsort(stable=True)][:most].tolist()

    def table(self, data: list[int] | None = None, most: int = 20) -> str:
        """The mean bracket, and a row for each of the chosen data, or of the `most` data that are least certain; nats.

        Raises:
            ValueError: for data that are not there.
        """
        chosen = self.least_certain(most) if data is None else data
        if absent := [b for b in chosen if not 0 <= b < len(self)]:
            raise ValueError(f"data must be indices 0 … {len(self) - 1}, got {absent}")
        rows: list[tuple[str, ...]] = [("datum", "lower", "± error", "upper", "± error", "method", "flag")]
        for b in chosen:
            numbers = (self.lower.value, self.lower.stderr, self.upper.value, self.upper.stderr)
            rows.append(
                (str(b), *(f"{float(n[b]):.3f}" for n in numbers), self.method(b), self.flags[b] or self.notes[b])
            )
        return "\n".join([*self._head(), *aligned(rows, ">>>>><<")])

    def _head(self) -> list[str]:
        both = (self.lower.value.isfinite() & self.upper.value.isfinite()).nonzero().flatten()
        count = int(self.settled.sum())
        reasons = Counter(flag.split(":")[0] for flag in self.flags if flag)
        lines = [f"{count} of {len(self)} data settled within {self.tolerance:g} nats, in {self.seconds:.1f} s"]
        if len(both):
            (low, low_error), (high, high_error) = (_mean(side, both) for side in (self.lower, self.upper))
            whom = "" if len(both) == len(self) else f" of {len(both)} data with both sides"
            lines.append(f"mean log p(x){whom}: from {low:.3f} ± {low_error:.3f} to {high:.3f} ± {high_error:.3f} nats")
        return [*lines, *(f"  {n} flagged: {reason}" for reason, n in reasons.most_common(4))]


def _mean(side: Estimate, data: Tensor) -> tuple[float, float]:
    return Estimate(side.value[data], side.stderr[data], side.bound).mean()


def read(ledger: Ledger, tolerance: float, forecast: dict[str, float], from_below: str = "") -> Bracket:
    """The bracket that follows from a ledger; `from_below` says why it can have no upper side."""
    lower, upper = choose(ledger, LOWER), choose(ledger, UPPER)
    length = width(lower, upper)
    doubts = suspicions(ledger, lower, upper)
    without = from_below or "the time ended before chains were run"
    flags = tuple(
        _flag(b, lower, upper, doubts[b], float(length[b]), tolerance, without) for b in range(ledger.num_data)
    )
    return Bracket(
        lower=_estimate(lower, "lower"),
        upper=_estimate(upper, "upper"),
        flags=flags,
        notes=notes(ledger, lower),
        width=length,
        tolerance=tolerance,
        ledger=ledger,
        forecast=forecast,
        seconds=ledger.seconds,
        from_below=from_below,
    )


def _estimate(side: Side, bound: Bound) -> Estimate[BracketSideInfo]:
    missing = torch.tensor([not method for method in side.methods])
    nothing = torch.inf if bound == "upper" else -torch.inf
    value = torch.where(missing, nothing, side.value)
    return Estimate(value, torch.where(missing, torch.inf, side.stderr), bound, {"method": side.methods}, side.flags)


def _flag(b: int, lower: Side, upper: Side, suspicion: str, length: float, tolerance: float, without: str) -> str:
    texts = "; ".join((lower.flags[b], upper.flags[b], suspicion)).split("; ")
    reasons = list(dict.fromkeys(filter(None, texts)))  # both sides may say the same
    if not upper.methods[b]:
        reasons.append(f"no upper bound: {without}, so a mode that the guide misses is missed")
    elif length > tolerance and not reasons:
        reasons.append(f"the interval is {length:.2f} nats wide, more than {tolerance:g}: more time would narrow it")
    return "; ".join(reasons)
