"""A function of Pyro programs as a pure tensor program: Pyro runs once, not at every step of a sampler."""

import copy
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from elbowroom.inference.evaluation.compiled import compiled, first_line
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.differentiated import Differentiated, Forward
from elbowroom.inference.evaluation.noted_shapes import noting_shapes_alone
from elbowroom.inference.evaluation.simplified import simplified
from elbowroom.inference.programs.evaluations import counting
from elbowroom.inference.programs.one_at_a_time import one_at_a_time
from elbowroom.inference.programs.refusals import is_numerical, strict, tell
from elbowroom.inference.programs.tolerance import same
from elbowroom.inference.programs.unfactored import Unfactored
from elbowroom.inference.target import Target

_SOFT = "matrices that have no factor are answered by NaN"

Function = Callable[..., tuple[Tensor, ...]]
"""(coordinates, u `[S, B, D]`, *extra tensors) -> tensors; entry [s, b] depends on datum b and u[s, b] alone."""

Record = Callable[..., tuple[Tensor, ...]]
"""(per-datum data, u, *extra tensors) -> the function there."""

_RECORDS: "weakref.WeakKeyDictionary[Target, dict[Any, Any]]" = weakref.WeakKeyDictionary()
_REASONS: "weakref.WeakKeyDictionary[Target, dict[Any, str]]" = weakref.WeakKeyDictionary()
"""Why a record is not compiled, where it was to be."""


class Traced:
    """`function(coordinates, u, *extra)`, recorded once for each shape of its inputs and replayed on tensors.

    The record takes the data as inputs, so it serves every chunk of data of the same size (`on`). Each record is
    compared with a plain run, on other points than it was made from and again on every new chunk; where they differ
    (a program that leaves torch on its way, or branches on values) plain runs are used. Results keep no graph. Where a
    program raises a numerical error, plain runs have density zero and records NaN (see `programs/refusals.py`).

    Args:
        function: what to compute; it may differentiate inside.
        coordinates: the target's coordinates.
        compile: compile records with `torch.compile` (tens of seconds once, then 1.5 to 3 times faster); a record that
            cannot be compiled, or gives other numbers then, is used as it is.
        record: whether to record at all: a dozen evaluations are over before a record is made.
        weight: evaluations that one at a point counts as (see `programs/evaluations.py`).
        roundings: how far records and plain runs may be apart, in units of the dtype's ε.
    """

    def __init__(
        self,
        function: Function,
        coordinates: Coordinates,
        *,
        compile: bool = False,
        record: bool = True,
        weight: int = 1,
        roundings: float = 1e4,
    ) -> None:
        self.weight, self.roundings = weight, roundings
        self.function, self.coordinates, self.compile, self.record = function, coordinates, compile, record
        # Kept with the target: a second sampler on it records, and compiles, nothing anew.
        self._records: dict[Any, Any] = _RECORDS.setdefault(coordinates.target, {})
        self._reasons = _REASONS.setdefault(coordinates.target, {})
        self._checked: set[Any] = set()

    def on(self, coordinates: Coordinates) -> "Traced":
        """The same function on other data of the same programs; records are shared."""
        other = copy.copy(self)
        other.coordinates, other._checked = coordinates, set()
        return other

    def __call__(self, u: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Evaluate at u `[S, B, D]`."""
        u, *extra = (t.contiguous() for t in (u, *others))  # a record knows one stride
        with counting(self.weight * u.shape[0] * u.shape[1]):
            return self._evaluated(u, *extra)

    def _evaluated(self, u: Tensor, *extra: Tensor) -> tuple[Tensor, ...]:
        try:
            return self._evaluate(u, *extra)
        except torch.linalg.LinAlgError as error:
            if _SOFT in self._records:
                return self._plain(u, *extra)
            # From here on matrices that have no factor are answered by NaN, inside records too.
            self._records[_SOFT] = f"LinAlgError: {error}"
            return self._evaluate(u, *extra)

    def _evaluate(self, u: Tensor, *extra: Tensor) -> tuple[Tensor, ...]:
        rows, target = self._rows(), self.coordinates.target
        key = self._key(rows, u, *extra)
        if self.record and key not in self._records:
            points, plain = self._recordable(u, *extra)
            if points is not None:  # else another time, when there are points at which nothing raises
                self._records[key] = self._first_sound(key, points, u, *extra)
                self._checked.add(key)
            if plain is not None:
                return plain
        record = self._records.get(key)
        if record is not None and key not in self._checked:
            if self._disagrees(record, u, *extra):
                record = self._records[key] = None
            self._checked.add(key)
        if record is None:
            return self._plain(u, *extra)
        with torch.no_grad():
            found = record(rows, u, *extra)
        if _SOFT not in self._records:
            return found
        refused = torch.stack([f.isnan() for f in found if f.dim() == 2]).any(0)
        tell(target.keys, refused.cpu(), self._records[_SOFT])
        return tuple(torch.where(f.isnan(), -torch.inf, f) if f.dim() == 2 else f for f in found)

    def has_record(self, u: Tensor) -> bool:
        """Whether the function of points like u has been recorded; False before it is first called there."""
        return self._records.get(self._key(self._rows(), u)) is not None

    def how(self, u: Tensor) -> str:
        """ "compiled", "recorded" or "run", of points like u, with the reason where compiling was asked for in vain."""
        key = self._key(self._rows(), u)
        if self._records.get(key) is None:
            return "run"
        reason = self._reasons.get(key)
        return "recorded" if reason is None else f"recorded (not compiled: {reason})" if reason else "compiled"

    def _key(self, rows: list[Tensor], *points: Tensor) -> Any:
        target = self.coordinates.target
        shapes = tuple((tuple(t.shape), t.dtype, t.device) for t in (*rows, *points))
        picked = None if target.picked is None else tuple(target.picked.tolist())  # a constant of the record
        threads = torch.get_num_threads() if self.compile else 0  # compiled code has a number of its own
        return (self.function, self.compile, threads, shapes, picked, _SOFT in self._records)

    def _plain(self, u: Tensor, *extra: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return self.function(self.coordinates, u, *extra)

    def _recordable(self, u: Tensor, *extra: Tensor) -> tuple[Tensor | None, tuple[Tensor, ...] | None]:
        """Points at which the function does not raise: u, or the first sound point of each datum in place of all.

        Where it does at u, the second is what plain runs give there.
        """
        try:
            with strict(), torch.no_grad(), self._soft():
                self.function(self.coordinates, u, *extra)
            return u, None
        except Exception as error:
            if not is_numerical(error) or (isinstance(error, torch.linalg.LinAlgError) and _SOFT not in self._records):
                raise
        plain = self._plain(u, *extra)
        sound = plain[0].isfinite()
        if not bool(sound.any(0).all()):
            return None, plain
        first = sound.to(torch.int8).argmax(0).reshape(1, -1, 1).expand(1, *u.shape[1:])
        return u.gather(0, first).expand_as(u).contiguous(), plain

    def _soft(self) -> Any:
        return Unfactored() if _SOFT in self._records else nullcontext()

    def _rows(self) -> list[Tensor]:
        return [row.contiguous() for row in self.coordinates.target.data]

    def _first_sound(self, key: Any, points: Tensor, u: Tensor, *extra: Tensor) -> Record | None:
        """A record made at some points that gives what plain runs give at u, compiled where that is asked for."""
        for record in self._recorded(points, *extra):
            if self._disagrees(record, u, *extra):
                continue
            if not self.compile:
                return record
            fast = compiled(record, self.coordinates.target.device)
            self._reasons[key] = self._disagrees(fast, u, *extra)
            return record if self._reasons[key] else fast
        return None

    def _recorded(self, u: Tensor, *extra: Tensor) -> Iterator[GraphModule]:
        """Records of the function, that with the least to do first."""
        coordinates, function = self.coordinates, self.function

        def pure(rows: list[Tensor], u: Tensor, *extra: Tensor) -> tuple[Tensor, ...]:
            return function(_on_rows(coordinates, rows), u, *extra)

        if isinstance(function, Differentiated):
            yield from self._made(lambda: _in_two(function, coordinates, self._rows(), u))
        yield from self._made(lambda: simplified(make_fx(pure)(self._rows(), u, *extra)))

    def _made(self, make: Callable[[], GraphModule]) -> Iterator[GraphModule]:
        try:
            with one_at_a_time(), strict(), torch.no_grad(), self._soft(), noting_shapes_alone(), _silence():
                graph = make()
        except Exception:  # whatever a program does that cannot be recorded, plain runs can do
            return
        yield graph

    def _disagrees(self, record: Record, u: Tensor, *extra: Tensor) -> str:
        """Why a record is no plain run where the points of a datum have changed places and moved a little, or ""."""
        moved = u.flip(0) * 0.875 + 0.0625
        with torch.no_grad():
            plain = self.function(self.coordinates, moved, *extra)
            try:
                replayed = record(self._rows(), moved, *extra)
            except Exception as error:
                return first_line(error)
        return "" if _agree(replayed, plain, self.roundings) else "it gives other numbers than a run of the programs"


@contextmanager
def _silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _in_two(function: Differentiated, coordinates: Coordinates, rows: list[Tensor], u: Tensor) -> GraphModule:
    """A record of the derivatives of a simplified record of the forward part."""

    def forward(rows: list[Tensor], u: Tensor) -> tuple[Tensor, ...]:
        return function.forward(_on_rows(coordinates, rows), u)

    with torch.enable_grad():
        values = simplified(make_fx(forward)(rows, u.clone().requires_grad_(True)), differentiable=True)
    return simplified(make_fx(lambda rows, u: function.reduced(lambda at: values(rows, at), u))(rows, u))


def _agree(replayed: tuple[Tensor, ...], plain: tuple[Tensor, ...], roundings: float) -> bool:
    """The same densities at the same points; where a plain run raises, and has density zero, a record may say NaN."""
    sound = torch.ones_like(plain[0], dtype=torch.bool)
    for r, p in zip(replayed, plain, strict=True):
        if p.shape == sound.shape:
            if not torch.equal(r.isfinite(), p.isfinite()):
                return False
            sound = sound & p.isfinite()
    pairs = (
        (r, p) if p.shape[:2] != sound.shape else (r[sound], p[sound]) for r, p in zip(replayed, plain, strict=True)
    )
    return all(same(r, p, roundings) for r, p in pairs)


def log_joint(coordinates: Coordinates, u: Tensor) -> tuple[Tensor]:
    """log p(x, T(u)) + log |det dT/du|, `[S, B]`, nats."""
    return (coordinates.log_joint(u),)


def _value_and_gradient(forward: Forward, u: Tensor) -> tuple[Tensor, Tensor]:
    (value,) = forward(u)
    (gradient,) = torch.autograd.grad(value.sum(), u)
    return value.detach(), torch.where(value.isfinite().unsqueeze(-1), gradient, gradient.nan_to_num(0.0, 0.0, 0.0))


log_joint_and_gradient = Differentiated(log_joint, _value_and_gradient)
"""`log_joint` `[S, B]` and its gradient in u `[S, B, D]`."""


def _on_rows(coordinates: Coordinates, rows: list[Tensor]) -> Coordinates:
    """The coordinates of a target with other values in its per-datum arguments."""
    target = coordinates.target
    return Coordinates(target.holding(dict(zip(target.per_datum, rows, strict=True))), coordinates.dim)
