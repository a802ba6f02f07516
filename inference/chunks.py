"""Memory bounded by an explicit byte budget: how many samples and data are evaluated at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from elbowroom.inference.noise import BLOCK
from elbowroom.inference.target import Target

MEMORY_BYTES = 256 * 2**20
"""Default byte budget for the tensors of one evaluation."""


@dataclass(frozen=True)
class Plan:
    """How [samples, data] is cut: `rows` data and `samples` samples at a time."""

    num_data: int
    rows: int
    samples: int

    def data(self, target: Target) -> Iterator[tuple[slice, Target]]:
        """The target in pieces of at most `rows` data."""
        if self.rows >= self.num_data:
            yield slice(0, self.num_data), target
            return
        for begin in range(0, self.num_data, self.rows):
            end = min(begin + self.rows, self.num_data)
            yield slice(begin, end), target.select(range(begin, end))

    def sample_ranges(self, num_samples: int) -> Iterator[tuple[int, int]]:
        """(start, count) covering 0 … num_samples − 1."""
        for start in range(0, num_samples, self.samples):
            yield start, min(self.samples, num_samples - start)


def plan(target: Target, num_samples: int, memory_bytes: int | None = None, gradients: bool = False) -> Plan:
    """Cut S samples × B data so that one evaluation's tensors stay within the budget.

    The cost of a cell is measured: all bytes that one guide and one model evaluation allocate, per sample and datum.
    It overstates the peak, so the budget is kept. All data at once are preferred (the encoder runs once for each);
    samples are cut at multiples of the noise block, and data only when a block of samples of all data is too much.

    Raises:
        ValueError: if the budget does not hold one sample of one datum; the message says what would.
    """
    budget = MEMORY_BYTES if memory_bytes is None else memory_bytes
    cell = bytes_per_cell(target) * (3 if gradients else 1)
    cells = int(budget // cell)
    smallest = 1 if target.sliceable else len(target)
    if cells < smallest:
        raise ValueError(
            f"memory_bytes={budget} is too small: one sample of {'one datum' if smallest == 1 else 'this program'} "
            f"takes about {int(cell * smallest)} bytes"
        )
    rows = len(target) if not target.sliceable else max(1, min(len(target), cells // min(BLOCK, num_samples)))
    samples = max(1, cells // rows)
    if samples >= BLOCK:
        samples -= samples % BLOCK
    return Plan(len(target), rows, min(samples, num_samples))


def bytes_per_cell(target: Target, num_samples: int = 16) -> float:
    """Bytes that one guide draw and one model evaluation allocate for each (sample, datum)."""
    few = target.select(range(min(8, len(target)))) if target.sliceable else target
    counter = _Allocations()
    with torch.no_grad(), counter:
        few.log_weights(num_samples)
    return max(counter.bytes / (num_samples * len(few)), 8.0)


class _Allocations(TorchDispatchMode):
    """Adds up the bytes of every tensor that an operation returns, views left out."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for out in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(out, Tensor) and not out._is_view():
                self.bytes += out.numel() * out.element_size()
        return result
