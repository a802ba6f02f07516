"""What is known of some of the data before anything is sampled, in a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor


@dataclass(frozen=True)
class Remark:
    """A sentence, and the data that it holds for, `[B]` bool."""

    reason: str
    data: Tensor

    def at(self, index: Tensor) -> Self:
        """The same of some of the data, by their index `[R]`."""
        return replace(self, data=self.data[index.cpu()])


def by_datum(remarks: Sequence[Remark], num_data: int) -> tuple[str, ...]:
    """The sentences that hold for each datum, as one text; empty where there is none."""
    rows = [(r.reason, r.data.tolist()) for r in remarks]
    return tuple("; ".join(reason for reason, marks in rows if marks[b]) for b in range(num_data))
