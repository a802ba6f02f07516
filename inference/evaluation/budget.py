"""Memory bounded by an explicit byte budget: how many samples and data are evaluated at once."""

import math
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from elbowroom.inference.programs.evaluations import counting, total
from elbowroom.inference.programs.noise import BLOCK
from elbowroom.inference.programs.private_torch import TorchDispatchMode, is_view
from elbowroom.inference.target import Target

MEMORY_BYTES = 256 * 2**20
"""Default byte budget for the tensors of one evaluation."""

_FEW = 8  # data that a cost is measured with
_TRIAL_BYTES = 16 * 2**20  # of a measurement, under however small a budget

T = TypeVar("T")

_MEASURED: "weakref.WeakKeyDictionary[Target, dict[Any, tuple[Any, int]]]" = weakref.WeakKeyDictionary()
"""What was measured of a target, and the evaluations that it took."""


def bytes_or_default(memory_bytes: int | None) -> int:
    """The byte budget that was asked for, or the default.

    Raises:
        ValueError: if it is not positive.
    """
    if memory_bytes is None:
        return MEMORY_BYTES
    if memory_bytes < 1:
        raise ValueError(f"memory_bytes must be at least 1, got {memory_bytes}; None is {MEMORY_BYTES // 2**20} MiB")
    return memory_bytes


def check_fits(target: Target, **counts: int) -> None:
    """Refuse counts whose product is more values of the latents of each datum than this machine's memory holds.

    Raises:
        ValueError: naming the counts, the bytes and the memory.
    """
    size = sum(math.prod(shape) for shape in target.latents.values())
    needed = math.prod(counts.values()) * len(target) * size * target.dtype.itemsize
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory:
        asked = " and ".join(f"{name}={value}" for name, value in counts.items())
        raise ValueError(
            f"{asked} keep {needed / 2**30:.3g} GiB of latents of {len(target)} data, and this machine has "
            f"{memory / 2**30:.3g} GiB: ask for fewer, or for fewer data at once (target.select)"
        )


@dataclass(frozen=True)
class Plan:
    """How [samples, data] is cut: `data_at_once` data and `samples_at_once` samples at a time."""

    num_data: int
    data_at_once: int
    samples_at_once: int

    def data(self, target: Target) -> Iterator[tuple[slice, Target]]:
        """The target in pieces of at most `data_at_once` data."""
        if self.data_at_once >= self.num_data:
            yield slice(0, self.num_data), target
            return
        for begin in range(0, self.num_data, self.data_at_once):
            end = min(begin + self.data_at_once, self.num_data)
            yield slice(begin, end), target.select(range(begin, end))

    def sample_ranges(self, num_samples: int) -> Iterator[tuple[int, int]]:
        """(start, count) covering 0 … num_samples − 1."""
        for start in range(0, num_samples, self.samples_at_once):
            yield start, min(self.samples_at_once, num_samples - start)


@dataclass(frozen=True)
class Cost:
    """Bytes that one evaluation of guide and model allocates: constant + B · (datum + S · cell)."""

    constant: float  # whatever S and B are: transformed weights
    datum: float  # once a datum: the encoder
    cell: float  # for each sample of each datum

    def __call__(self, data_at_once: int, samples: int) -> float:
        return self.constant + data_at_once * (self.datum + samples * self.cell)


def plan(target: Target, num_samples: int, memory_bytes: int | None = None, gradients: bool = False) -> Plan:
    """Cut S samples × B data so that one evaluation's tensors stay within the budget.

    The cost is measured: all bytes that a guide and a model evaluation allocate, and what the largest of their
    convolutions needs beside them. It overstates the peak, so the budget is kept. All data at once are preferred (the
    encoder runs once for each); samples are cut at multiples of the noise block, and data only when a block of samples
    of all data is too much.

    Raises:
        ValueError: if the budget does not hold one sample of one datum; the message says what would.
    """
    budget = bytes_or_default(memory_bytes)
    return cut(target, num_samples, measure(target, 3 if gradients else 1, budget), budget)


def cut(target: Target, num_samples: int, cost: Cost, budget: int) -> Plan:
    """As `plan`, of evaluations of a known cost."""
    free = budget - cost.constant
    data_at_once = len(target)
    if target.sliceable:
        data_at_once = min(data_at_once, max(1, int(free // (cost.datum + min(BLOCK, num_samples) * cost.cell))))
    samples = int((free / data_at_once - cost.datum) // cost.cell)
    if samples < 1:
        raise ValueError(
            f"memory_bytes={budget} is too small: one sample of "
            f"{'one datum' if data_at_once == 1 else f'these {data_at_once} data'} "
            f"takes about {math.ceil(cost(data_at_once, 1))} bytes"
        )
    return Plan(len(target), data_at_once, min(in_noise_blocks(samples), num_samples))


def in_noise_blocks(samples: int) -> int:
    """Samples at once that waste no noise: a multiple of its block, if there are as many."""
    return samples - samples % BLOCK if samples >= BLOCK else max(samples, 1)


def measure(target: Target, scale: float = 1.0, memory_bytes: int | None = None) -> Cost:
    """The cost of evaluating a target, from three small evaluations that stay within the budget, times `scale`.

    It is measured once for each target and budget.
    """
    return _once(target, ("cost", scale, memory_bytes), lambda: _measured(target, scale, memory_bytes))


def _once(target: Target, what: Any, measure: Callable[[], T]) -> T:
    """A measurement, or that of an earlier call, which counts as many evaluations: the count of a call is its own."""
    known = _MEASURED.setdefault(target, {})
    if what in known:
        value, evaluations = known[what]
        with counting(evaluations):
            return value
    before = total()
    value = measure()
    known[what] = value, total() - before
    return value


def _measured(target: Target, scale: float, memory_bytes: int | None) -> Cost:
    first = _first(target)
    few, num_samples = _trial(target, first, memory_bytes, 17)
    small = _allocated(few, 1) if target.sliceable and len(few) > 1 else first
    long = _allocated(few, num_samples)
    cell = max((long.outputs - small.outputs) / ((num_samples - 1) * len(few)), 8.0)
    unfolded = small.unfolded / len(few), long.unfolded / (num_samples * len(few))  # by the encoder, by the decoder
    if len(few) == 1 or not target.sliceable:
        constant, datum = 0.0, max(small.outputs / len(few) - cell, 0.0)
    else:
        slope = max((small.outputs - first.outputs) / (len(few) - 1), cell)  # of one more datum with one sample
        constant, datum = max(small.outputs - len(few) * slope, 0.0), slope - cell
    return Cost(scale * constant, scale * (datum + unfolded[0]), scale * (cell + unfolded[1]))


def cells_within(target: Target, memory_bytes: int | None = None, copies: int = 1) -> int:
    """How many (sample, datum) cells the budget holds, each with so many evaluations at once; at least one."""
    return max(1, int(bytes_or_default(memory_bytes) // (copies * bytes_per_cell(target, memory_bytes=memory_bytes))))


def bytes_per_cell(target: Target, num_samples: int = 16, memory_bytes: int | None = None) -> float:
    """Bytes that one guide draw and one model evaluation allocate for each (sample, datum), when there are many."""
    few, num_samples = _trial(target, _first(target), memory_bytes, num_samples)
    return max(sum(_allocated(few, num_samples)) / (num_samples * len(few)), 8.0)


def bytes_per_draw(target: Target, memory_bytes: int | None = None) -> float:
    """Bytes that the guide alone allocates for each further draw of a datum, measured once."""
    return _once(target, ("draw", memory_bytes), lambda: _bytes_per_draw(target, memory_bytes))


def _bytes_per_draw(target: Target, memory_bytes: int | None) -> float:
    few, num_samples = _trial(target, _first(target), memory_bytes, 17)
    counters = _Allocations(), _Allocations()
    for counter, count in zip(counters, (1, num_samples), strict=True):
        with torch.no_grad(), counter:
            few.propose(count)
    small, long = (counter.outputs + counter.unfolded for counter in counters)
    return max((long - small) / ((num_samples - 1) * len(few)), 8.0)


def _first(target: Target) -> "_Bytes":
    """Of one sample of the first datum, or of all of a target that cannot be cut."""
    return _allocated(target.select([0]) if target.sliceable else target, 1)


def _trial(target: Target, first: "_Bytes", memory_bytes: int | None, num_samples: int) -> tuple[Target, int]:
    """What a cost is measured with, eight data and so many samples, but fewer, at least two, where each is large."""
    cells = int(max(bytes_or_default(memory_bytes), _TRIAL_BYTES) // max(sum(first), 1))
    if not target.sliceable:
        return target, max(2, min(num_samples, cells))
    num_data = max(1, min(_FEW, len(target), cells // 2))
    return target.select(range(num_data)), max(2, min(num_samples, cells // num_data))


class _Bytes(NamedTuple):
    """What one evaluation allocates: all that operations return, and the most that one of them needs meanwhile."""

    outputs: int
    unfolded: int


def _allocated(target: Target, num_samples: int) -> _Bytes:
    counter = _Allocations()
    with torch.no_grad(), counter:
        target.log_weights(num_samples)
    return _Bytes(counter.outputs, counter.unfolded)


class _Allocations(TorchDispatchMode):
    """Adds up the bytes of every tensor that an operation returns, views left out.

    A convolution needs more while it runs: it unfolds what its kernel slides over into one column for each place (torch
    does so in 64 bits, for the whole batch), or copies inputs and outputs into another order, which takes less.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outputs = self.unfolded = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for out in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(out, Tensor) and not is_view(out):
                self.outputs += out.numel() * out.element_size()
        if func is torch.ops.aten.convolution.default:
            self.unfolded = max(self.unfolded, _unfolded(result, *args))
        return result


def _unfolded(
    output: Tensor,
    input_: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> int:
    """Bytes of a convolution's columns: all values of a kernel's window, for each place that it slides to."""
    places = (input_ if transposed else output).numel() // len(weight)  # the batch's too
    return places * groups * weight[0].numel() * output.element_size()
