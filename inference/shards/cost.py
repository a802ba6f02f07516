"""What shards will take, from one chunk that is evaluated and thrown away."""

import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from elbowroom.inference.programs.datum_keys import likes_before
from elbowroom.inference.saving.places import place_of
from elbowroom.inference.shards.chunk_files import ChunkFiles
from elbowroom.inference.shards.plan import Plan
from elbowroom.inference.shards.rows import Rows, Stored
from elbowroom.inference.shards.work import Work
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

WORKERS = (1, 2, 10, 100, 1000)
"""Numbers of workers that a forecast is made for."""


@dataclass(frozen=True, repr=False)
class Cost(Shown):
    """What one chunk takes, and so all of them.

    Attributes:
        plan: what is to be done.
        seconds: of one chunk.
        bytes: of its file.
        memory: the most bytes that this process has used so far; None where the system does not say.
        counting: seconds in which one worker counts equal data, once.
    """

    plan: Plan
    seconds: float
    bytes: int
    memory: int | None
    counting: float

    def seconds_by(self, num_workers: int) -> float:
        """For so many workers like this one: a worker does whole chunks."""
        each = -(-self.plan.num_chunks // num_workers)
        return self.counting + each * self.seconds

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "num_data": self.plan.num_data,
            "num_chunks": self.plan.num_chunks,
            "chunk": self.plan.chunk,
            "seconds_a_chunk": self.seconds,
            "bytes_a_chunk": self.bytes,
            "memory_bytes": self.memory,
            "seconds_counting": self.counting,
            "seconds": {str(number): self.seconds_by(number) for number in WORKERS},
        }

    def as_table(self) -> Table:
        """Chunks, files and bytes, and the time by the number of workers."""
        plan, memory = self.plan, "" if self.memory is None else f", {self.memory / 2**20:,.0f} MiB of memory a worker"
        head = (
            f"{plan.num_data:,} data in {plan.num_chunks:,} chunks of {plan.chunk:,}, by {plan.estimator}",
            f"one chunk: {self.seconds:.3g} s, {self.bytes / 2**20:.3g} MiB on disk{memory}",
            f"all: {plan.num_chunks:,} files, {plan.num_chunks * self.bytes / 2**20:,.3g} MiB; equal data are counted "
            f"first, by one worker, in {self.counting:.3g} s",
        )
        several = [number for number in WORKERS if number <= max(plan.num_chunks, 1)]
        times = [(number, self.seconds_by(number)) for number in several]
        rows = [(str(number), f"{seconds:,.3g}", _lasting(seconds)) for number, seconds in times]
        return Table(head, ("workers", "seconds", "or"), ">><", rows, noun="numbers of workers")


@dataclass(frozen=True)
class _OfFirst:
    """The counts of equal data among the first ones."""

    counts: np.ndarray

    def read(self, begin: int, end: int) -> np.ndarray:
        return self.counts[begin:end]


def cost_of(rows: Rows, plan: Plan) -> Cost:
    """Evaluate the first chunk, and forget it."""
    place, (_, end) = place_of("."), plan.rows(0)
    begin, counts = time.perf_counter(), None
    if isinstance(rows, Stored):
        counts = _OfFirst(likes_before(rows.digests(0, end)))
    counting = 0.0 if counts is None else (time.perf_counter() - begin) * plan.num_data / end
    begin = time.perf_counter()
    columns, made = Work(place, plan, rows, counts).evaluated(0)
    content = ChunkFiles(place, plan).content(0, columns, made)
    return Cost(plan, time.perf_counter() - begin, len(content), _most_memory(), counting)


def _most_memory() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most) if sys.platform == "darwin" else int(most) * 1024


def _lasting(seconds: float) -> str:
    hours = seconds / 3600
    return f"{seconds:.0f} s" if hours < 0.1 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
