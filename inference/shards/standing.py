"""How far shards are, read from their place alone: by any worker, or by anybody who looks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from elbowroom.inference.saving.places import Place
from elbowroom.inference.shards.attempts import MOST, Attempts
from elbowroom.inference.shards.chunk_files import ChunkFiles
from elbowroom.inference.shards.plan import Plan
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

_LATELY = 600.0  # seconds before the last file, over which a rate is taken


@dataclass(frozen=True, repr=False)
class Standing(Shown):
    """How many chunks are done, how fast, and which are in trouble.

    Attributes:
        place: where they are.
        plan: what is to be done.
        done: the chunks that have a file; what is wrong with one is seen when it is read.
        failed: chunks that are left out -> the reasons of their attempts.
        tried: chunks that have none, and were begun -> the reasons of attempts that have ended.
        rate: data a second over all workers, lately; None if it is not known.
    """

    place: str
    plan: Plan
    done: tuple[int, ...]
    failed: Mapping[int, tuple[str, ...]]
    tried: Mapping[int, tuple[str, ...]]
    rate: float | None

    @property
    def complete(self) -> bool:
        """Whether every chunk has a file."""
        return len(self.done) == self.plan.num_chunks

    @property
    def missing(self) -> tuple[int, ...]:
        """Chunks without a file, those that are left out among them."""
        done = set(self.done)
        return tuple(chunk for chunk in range(self.plan.num_chunks) if chunk not in done)

    @property
    def seconds_left(self) -> float | None:
        """How long the others will take at this rate; None if that is not known."""
        left = sum(end - begin for begin, end in map(self.plan.rows, self.missing) if begin < end)
        left -= sum(end - begin for begin, end in map(self.plan.rows, self.failed))
        return None if self.rate is None else left / self.rate

    def line(self) -> str:
        """All of it in a line."""
        told = [
            f"{len(self.done)} of {self.plan.num_chunks} chunks ({self._num_done():,} of {self.plan.num_data:,} data)"
        ]
        if self.rate is not None:
            told.append(f"{self.rate:,.0f} data/s" if self.rate >= 100 else f"{self.rate:.3g} data/s")
        if self.seconds_left:
            told.append(f"about {_lasting(self.seconds_left)} more")
        for chunk, reasons in list(self.failed.items())[:2]:
            told.append(f"chunk {chunk} left out: {reasons[-1]}")
        if len(self.failed) > 2:
            told.append(f"{len(self.failed) - 2} more chunks left out")
        return "shards: " + ", ".join(told)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "place": self.place,
            "num_data": self.plan.num_data,
            "num_chunks": self.plan.num_chunks,
            "num_done": len(self.done),
            "data_per_second": self.rate,
            "seconds_left": self.seconds_left,
            "failed": {str(chunk): list(reasons) for chunk, reasons in self.failed.items()},
            "tried": {str(chunk): list(reasons) for chunk, reasons in self.tried.items()},
        }

    def as_table(self) -> Table:
        """The line, and the chunks in trouble."""
        rows = [
            (str(chunk), *map(str, self.plan.rows(chunk)), str(len(reasons)), state, "; ".join(dict.fromkeys(reasons)))
            for state, chunks in (("left out", self.failed), ("begun", self.tried))
            for chunk, reasons in chunks.items()
        ]
        columns = ("chunk", "first datum", "up to", "attempts", "state", "reasons")
        return Table((self.line(), f"in {self.place}"), columns, ">>>><<", rows, len(rows), "chunks")

    def _num_done(self) -> int:
        return sum(end - begin for begin, end in map(self.plan.rows, self.done))


def standing_of(place: Place, plan: Plan) -> Standing:
    """How far the shards of a plan are."""
    there = ChunkFiles(place, plan).there()
    tried = {chunk: tuple(reasons) for chunk, reasons in Attempts(place).all().items() if chunk not in there}
    failed = {chunk: reasons for chunk, reasons in tried.items() if len(reasons) >= MOST}
    others = {chunk: reasons for chunk, reasons in tried.items() if chunk not in failed}
    return Standing(place.name, plan, tuple(there), failed, others, _rate(plan, there))


def _rate(plan: Plan, there: Mapping[int, float | None]) -> float | None:
    """Data a second between the first and the last of the files that were written lately."""
    written = sorted((when, chunk) for chunk, when in there.items() if when is not None)
    lately = [(when, chunk) for when, chunk in written if when >= written[-1][0] - _LATELY]
    if len(lately) < 2 or lately[-1][0] <= lately[0][0]:
        return None
    data = sum(end - begin for begin, end in (plan.rows(chunk) for _, chunk in lately[1:]))
    return data / (lately[-1][0] - lately[0][0])


def _lasting(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
