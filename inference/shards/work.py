"""What a worker does with a chunk: evaluate its batches, write its file, or note why that could not be."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from elbowroom.inference.saving.disk import WriteError
from elbowroom.inference.saving.places import Place
from elbowroom.inference.shards.attempts import MOST, Attempts
from elbowroom.inference.shards.chunk_files import ChunkFiles, made_by
from elbowroom.inference.shards.columns import Columns, columns_of, joined
from elbowroom.inference.shards.estimators import ESTIMATORS, takes_seed
from elbowroom.inference.shards.likes import Counts
from elbowroom.inference.shards.plan import Plan
from elbowroom.inference.shards.rows import Rows

Outcome = Literal["kept", "done", "again", "failed"]
"""Of a chunk: it was finished before, it is finished now, it is to be tried again, or is left out."""


def silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Work:
    """All that a worker needs; it can be sent to another process.

    Attributes:
        place: where the files of chunks are.
        plan: what is to be done.
        rows: the data and the programs.
        likes: how many data like each came before, where the programs' own keys do not know.
        say: what tells a person, one line at a time.
        tick: called after each batch.
    """

    place: Place
    plan: Plan
    rows: Rows
    likes: Counts | None = None
    say: Callable[[str], None] = field(default=silent, compare=False)
    tick: Callable[[], None] = field(default=lambda: None, compare=False)

    @property
    def files(self) -> ChunkFiles:
        """The files of finished chunks."""
        return ChunkFiles(self.place, self.plan)

    @property
    def attempts(self) -> Attempts:
        """What went wrong so far."""
        return Attempts(self.place)

    def order(self) -> list[int]:
        """All chunks, those that were begun in vain after the others: one that kills its worker stops none of these."""
        tried = {chunk: len(reasons) for chunk, reasons in self.attempts.all().items()}
        return sorted(range(self.plan.num_chunks), key=lambda chunk: (tried.get(chunk, 0), chunk))

    def untouched(self) -> list[int]:
        """Chunks that have no file and were never begun."""
        begun = {*self.files.there(), *self.attempts.all()}
        return [chunk for chunk in range(self.plan.num_chunks) if chunk not in begun]

    def do(self, chunk: int) -> Outcome:
        """Finish a chunk, unless it is finished; a file of it that is damaged or of another plan is replaced.

        Raises:
            WriteError: the place takes no files, which is no fault of the chunk.
        """
        wrong = self.files.why_redone(chunk)
        if wrong is None:
            return "kept"
        before = len(self.attempts.reasons(chunk))
        if before >= MOST:
            return "failed"
        if wrong:
            self.say(f"chunk {chunk} is evaluated again: {wrong}")
        self.attempts.begin(chunk)
        try:
            columns, made = self.evaluated(chunk)
            self.files.write(chunk, columns, made)
        except Exception as error:
            if isinstance(error, WriteError):
                with suppress(WriteError):
                    self.attempts.undo(chunk)
                raise
            self.attempts.fail(chunk, error)
            self.say(f"chunk {chunk} failed (attempt {before + 1} of {MOST}): {type(error).__name__}: {error}")
            return "again" if before + 1 < MOST else "failed"
        except BaseException:  # an interrupt is no fault of the chunk
            with suppress(WriteError):
                self.attempts.undo(chunk)
            raise
        self.attempts.clear(chunk)
        return "done"

    def evaluated(self, chunk: int) -> tuple[Columns, dict[str, Any]]:
        """The columns of a chunk, and by what they were made."""
        begin = time.perf_counter()
        parts = []
        for first, end in self.plan.batches(chunk):
            parts.append(self._batch(first, end))
            self.tick()
        device = self.rows.target.device
        return joined(parts), {**made_by(device), "seconds": time.perf_counter() - begin}

    def _batch(self, first: int, end: int) -> Columns:
        likes = None if self.likes is None else self.likes.read(first, end)
        target = self.rows.batch(first, end, likes)
        options = dict(self.plan.options)
        if takes_seed(self.plan.estimator):
            options["seed"] = self.plan.seed
        with torch.no_grad():
            (weights,) = target.log_weights(1, seed=self.plan.seed)
        answer = ESTIMATORS[self.plan.estimator](target, **options)
        return columns_of(answer, torch.from_numpy(np.array(target.keys).view(np.int64)), weights)
