"""What every method has said about every datum so far, kept in a file if asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.saving.state_file import read_state, write_state
from elbowroom.inference.showing.numbers import flag_counts, flagged_first, mean_with_interval, with_error
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


@dataclass(repr=False)
class Column(Shown):
    """One method's answers: `value`, `stderr` `[B]` (NaN where it has not run) and a flag for each datum."""

    value: Tensor
    stderr: Tensor
    flags: list[str]

    def as_table(self) -> Table:
        """The mean of its answers, and the flagged data, or the first ones."""
        told = self.value.isfinite()
        rows = [
            (str(b), with_error(float(self.value[b]), float(self.stderr[b])), self.flags[b])
            for b in flagged_first(self.flags)
        ]
        title = f"answers for {int(told.sum())} of {len(told)} data: mean {mean_with_interval(self.value, self.stderr)}"
        return Table((title, *flag_counts(self.flags)), ("datum", "value (nats)", "flag"), ">><", rows, len(told))


@dataclass(repr=False)
class Ledger(Shown):
    """Columns by method, how much effort each datum has had, and the seconds spent.

    `refused` are the points at which the programs raised a numerical error, and had density zero, `[B]`.
    """

    num_data: int
    columns: dict[str, Column] = field(default_factory=dict)
    effort: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    seconds: float = 0.0
    refused: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))

    def __post_init__(self) -> None:
        if not len(self.refused):
            self.refused = torch.zeros(self.num_data, dtype=torch.long)

    def as_table(self) -> Table:
        """For how many data each method has answered, and the mean of its answers."""
        rows = [
            (
                method,
                str(int(column.value.isfinite().sum())),
                str(sum(map(bool, column.flags))),
                mean_with_interval(column.value, column.stderr),
            )
            for method, column in self.columns.items()
        ]
        title = f"what each method said of log p(x) of {self.num_data} data, in {self.seconds:.1f} s"
        return Table((title,), ("method", "data", "flagged", "mean"), "<>><", rows, noun="methods")

    @classmethod
    def empty(cls, num_data: int) -> "Ledger":
        """A ledger in which no method has answered yet."""
        return cls(num_data, {}, torch.full((num_data,), -1))

    def put(self, method: str, data: Tensor, estimate: Estimate, flags: tuple[str, ...] | None = None) -> None:
        """Write down a method's answers for some data, over what it said before."""
        if method not in self.columns:
            nothing = torch.full((self.num_data,), torch.nan, dtype=torch.float64)
            self.columns[method] = Column(nothing, nothing.clone(), [""] * self.num_data)
        column = self.columns[method]
        column.value[data] = estimate.value.double().cpu()
        column.stderr[data] = estimate.stderr.double().cpu()
        for b, flag in zip(data.tolist(), estimate.flags if flags is None else flags, strict=True):
            column.flags[b] = flag

    def remember(self, method: str, name: str, data: Tensor) -> None:
        """Write a method's values for some data under another name too, where they are larger than what is there."""
        if method not in self.columns:
            return
        column = self.columns[method]
        old = self.columns[name].value[data] if name in self.columns else torch.full_like(column.value[data], torch.nan)
        larger = ~(column.value[data] <= old) & column.value[data].isfinite()
        chosen = data[larger]
        if len(chosen):
            self.put(name, chosen, Estimate(column.value[chosen], column.stderr[chosen], "lower"))

    def select(self, data: Sequence[int]) -> "Ledger":
        """The answers for some of the data; `seconds` stays what all of them took."""
        index = list(data)
        columns = {
            name: Column(c.value[index], c.stderr[index], [c.flags[b] for b in index])
            for name, c in self.columns.items()
        }
        return Ledger(len(index), columns, self.effort[index], self.seconds, self.refused[index])

    def take(self, data: Sequence[int], other: "Ledger", methods: Sequence[str]) -> None:
        """Write down another ledger's answers, which are those of some methods for these data."""
        index = torch.tensor(list(data), dtype=torch.long)
        for name in methods:
            if name in other.columns:
                column = other.columns[name]
                self.put(name, index, Estimate(column.value, column.stderr, "none"), tuple(column.flags))
        self.effort[index] = other.effort
        self.refused[index] += other.refused
        self.seconds += other.seconds

    def has(self, method: str) -> Tensor:
        """Which data a method has answered, if only with a flag, `[B]`."""
        if method not in self.columns:
            return torch.zeros(self.num_data, dtype=torch.bool)
        column = self.columns[method]
        return ~column.value.isnan() | torch.tensor([bool(flag) for flag in column.flags])

    def write(self, path: Path, fingerprint: dict[str, Any]) -> None:
        """Replace the state file by this ledger, whole or not at all."""
        tensors = {"effort": self.effort, "refused": self.refused}
        for name, column in self.columns.items():
            tensors |= {f"{name}/value": column.value, f"{name}/stderr": column.stderr}
        info = {"seconds": self.seconds, "flags": {name: column.flags for name, column in self.columns.items()}}
        write_state(path, "bracket", fingerprint, tensors, info)

    @classmethod
    def read(cls, path: Path, fingerprint: dict[str, Any]) -> "Ledger":
        """The ledger in a state file, to continue from.

        Raises:
            StateError: if it is damaged, or was written for other data, programs or seed.
        """
        info, tensors = read_state(path, "bracket", fingerprint)
        columns = {
            name: Column(tensors[f"{name}/value"], tensors[f"{name}/stderr"], list(flags))
            for name, flags in info["flags"].items()
        }
        effort = tensors["effort"]
        return cls(len(effort), columns, effort, info["seconds"], tensors.get("refused", torch.zeros_like(effort)))
