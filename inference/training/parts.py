"""A minibatch of n rows in parts: worker r of W takes rows begin … end, as many as the others or one more.

    Σ_b f(x_b) = Σ_r Σ_(b in part r) f(x_b)

so that losses and gradients of the parts, which are sums over rows, add up to those of the minibatch.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from elbowroom.inference.training.workers import Workers


@dataclass(frozen=True)
class Part:
    """Some of the rows of a minibatch.

    Attributes:
        num_rows: n, of the whole minibatch.
        begin, end: the part.
        counts: whether it does. Of fewer rows than workers some get none; these take the last row along, and what they
            find is not added, so that they draw the same random numbers as the others.
    """

    num_rows: int
    begin: int
    end: int
    counts: bool = True

    @property
    def size(self) -> int:
        """Rows in it."""
        return self.end - self.begin

    @property
    def weight(self) -> float:
        """The share of the minibatch that it counts for."""
        return self.size / self.num_rows if self.counts else 0.0

    def rows(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        """Its rows of each argument that has one for each of the minibatch; others are handed on."""
        if self.size == self.num_rows:
            return batch
        whole = (self.num_rows,)
        return tuple(t[self.begin : self.end] if isinstance(t, Tensor) and t.shape[:1] == whole else t for t in batch)


def part_of(num_rows: int, workers: Workers) -> Part:
    """A worker's part of so many rows."""
    each, more = divmod(num_rows, workers.size)
    begin = workers.rank * each + min(workers.rank, more)
    end = begin + each + (workers.rank < more)
    return Part(num_rows, begin, end) if end > begin else Part(num_rows, num_rows - 1, num_rows, counts=False)
