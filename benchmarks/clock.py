"""Seconds and bytes of a call, on whichever device it runs: a card is waited for before a clock is read."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import torch

T = TypeVar("T")
CPU = torch.device("cpu")


class Taken(NamedTuple, Generic[T]):
    """What a call returned, and its seconds: of the clock on the wall, and of the processor, all threads together."""

    result: T
    wall: float
    processor: float


def timed(call: Callable[[], T], device: torch.device = CPU) -> Taken[T]:
    """Call it, and wait for the device."""
    begin, busy = now(device), time.process_time()
    result = call()
    wall = now(device) - begin
    return Taken(result, wall, time.process_time() - busy)


def now(device: torch.device = CPU) -> float:
    """Seconds on the wall's clock, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def steady(device: torch.device = CPU) -> float:
    """The steadiest clock there is: one thread's own seconds, to which other work counts little; else the wall's."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time() if alone else now(device)


def joules() -> float | None:
    """What the processor's meter says, of which differences count; None where there is none that can be read."""
    try:
        return int(Path("/sys/class/powercap/intel-rapl:0/energy_uj").read_text()) / 1e6
    except (OSError, ValueError):
        return None


def peak_bytes(device: torch.device = CPU) -> int:
    """The most memory that this process has had since `forget_peak`: of a card its tensors, else the resident set."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _kilobytes("VmHWM") * 1024


def forget_peak(device: torch.device = CPU) -> int:
    """Let the peak begin anew (where the system has no such thing it goes on); what is taken now, in bytes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak_bytes()
    return _kilobytes("VmRSS") * 1024


def _kilobytes(name: str) -> int:
    """A line of /proc/self/status; `getrusage` counts what stood in the parent's place before, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
