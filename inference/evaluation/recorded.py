"""A function of Pyro programs as a pure tensor program: Pyro runs once, not at every step of a sampler."""

import copy
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.programs.tolerance import same
from elbowroom.inference.target import Target

Function = Callable[..., tuple[Tensor, ...]]
"""(coordinates, u `[S, B, D]`, *extra tensors) -> tensors; entry [s, b] depends on datum b and u[s, b] alone."""


_RECORDS: "weakref.WeakKeyDictionary[Target, dict[Any, Any]]" = weakref.WeakKeyDictionary()


class Traced:
    """`function(coordinates, u, *extra)`, recorded once for each shape of its inputs and replayed on tensors.

    The record takes the data as inputs, so it serves every chunk of data of the same size (`on`). Each record is
    compared with a plain run, on other points than it was made from and again on every new chunk; where they differ
    (a program that leaves torch on its way, or branches on values) plain runs are used. Results keep no graph.

    Args:
        function: what to compute; it may differentiate inside.
        coordinates: the target's coordinates.
        compile: compile records with `torch.compile` (tens of seconds once, then 1.5 to 3 times faster).
    """

    def __init__(self, function: Function, coordinates: Coordinates, *, compile: bool = False) -> None:
        self.function, self.coordinates, self.compile = function, coordinates, compile
        # Kept with the target: a second sampler on it records, and compiles, nothing anew.
        self._records: dict[Any, Any] = _RECORDS.setdefault(coordinates.target, {})
        self._checked: set[Any] = set()

    def on(self, coordinates: Coordinates) -> "Traced":
        """The same function on other data of the same programs; records are shared."""
        other = copy.copy(self)
        other.coordinates, other._checked = coordinates, set()
        return other

    def __call__(self, u: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Evaluate at u `[S, B, D]`."""
        u, *extra = (t.contiguous() for t in (u, *others))  # a record knows one stride
        rows = self._rows()
        shapes = tuple((tuple(t.shape), t.dtype, t.device) for t in (*rows, u, *extra))
        picked = self.coordinates.target.picked  # a constant of the record
        key = (self.function, self.compile, shapes, None if picked is None else tuple(picked.tolist()))
        if key not in self._records:
            self._records[key] = self._record(u, *extra)
        record = self._records[key]
        if record is not None and key not in self._checked:
            if not self._agrees(record, u, *extra):
                record = self._records[key] = None
            self._checked.add(key)
        with torch.no_grad():
            return record(rows, u, *extra) if record is not None else self.function(self.coordinates, u, *extra)

    def _rows(self) -> list[Tensor]:
        return [row.contiguous() for row in self.coordinates.target.data]

    def _record(self, u: Tensor, *extra: Tensor) -> Callable[..., tuple[Tensor, ...]] | None:
        coordinates, function = self.coordinates, self.function

        def pure(rows: list[Tensor], u: Tensor, *extra: Tensor) -> tuple[Tensor, ...]:
            return function(_on_rows(coordinates, rows), u, *extra)

        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                graph = make_fx(pure)(self._rows(), u, *extra)
        except Exception:  # whatever a program does that cannot be recorded, plain runs can do
            return None
        graph.graph.eliminate_dead_code()
        graph.recompile()
        return torch.compile(graph, dynamic=False) if self.compile else graph

    def _agrees(self, record: Callable[..., tuple[Tensor, ...]], u: Tensor, *extra: Tensor) -> bool:
        """Compare a record with a plain run where the points of a datum have changed places and moved a little."""
        moved = u.flip(0) * 0.875 + 0.0625
        with torch.no_grad():
            plain = self.function(self.coordinates, moved, *extra)
            try:
                replayed = record(self._rows(), moved, *extra)
            except Exception:
                return False
        return all(same(r, p) for r, p in zip(replayed, plain, strict=True))


def log_joint(coordinates: Coordinates, u: Tensor) -> tuple[Tensor]:
    """log p(x, T(u)) + log |det dT/du|, `[S, B]`, nats."""
    return (coordinates.log_joint(u),)


def log_joint_and_gradient(coordinates: Coordinates, u: Tensor) -> tuple[Tensor, Tensor]:
    """`log_joint` `[S, B]` and its gradient in u `[S, B, D]`."""
    with torch.enable_grad():
        u = u.detach().requires_grad_(True)
        value = coordinates.log_joint(u)
        (gradient,) = torch.autograd.grad(value.sum(), u)
    return value.detach(), gradient


def _on_rows(coordinates: Coordinates, rows: list[Tensor]) -> Coordinates:
    """The coordinates of a target with other values in its per-datum arguments."""
    target = coordinates.target
    return Coordinates(target.holding(dict(zip(target.per_datum, rows, strict=True))), coordinates.dim)
