"""The random numbers of a part of a minibatch: those that its rows have where one process takes the whole.

Every worker draws for the whole minibatch, which costs little, and uses its own rows: so W workers meet the noise of
one, and their generators stay alike. Which dim of a draw belongs to the rows is learned by running the programs on 3
rows and on 5: it is the one whose size has changed. Where dims are flattened into one, particles are outside of the
rows, and other plates inside.

This needs draws that take as many random numbers whatever the values are: normals, uniforms, Bernoulli, categories,
dropout. Gamma, Dirichlet, Poisson and binomial draws try until one is accepted; what a program draws in another order
from step to step cannot be told, either. Then each worker has noise of its own, a function of (seed, step, worker).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from elbowroom.inference.programs.private_torch import TorchDispatchMode
from elbowroom.inference.training.parts import Part

SIZES = 3, 5
"""Rows with which programs are run to learn what they draw."""


class Call(NamedTuple):
    """A random operation, and the shape of what it draws."""

    operation: Any
    shape: tuple[int, ...]


class Rule(NamedTuple):
    """Which dim of a draw is that of the rows.

    Attributes:
        operation: torch's.
        dim: which; None of draws that all rows share.
        outside, inside: of the numbers along it, how many groups of all rows there are, and how many for each row.
    """

    operation: Any
    dim: int | None = None
    outside: int = 1
    inside: int = 1


class Unshared(Exception):
    """Noise cannot be had of the whole minibatch; the message says why."""


def rules(heard: Sequence[Sequence[Call]], num_particles: int) -> list[Rule]:
    """What is learned of the calls that were heard at both of `SIZES`.

    Args:
        heard: the calls of each run.
        num_particles: drawn at once.

    Raises:
        Unshared: naming what does not have as many random numbers in each run.
    """
    few, more = heard
    if [call.operation for call in few] != [call.operation for call in more]:
        raise Unshared("the programs draw other random numbers from run to run")
    return [_rule(a, b, num_particles) for a, b in zip(few, more, strict=True)]


def _rule(few: Call, more: Call, num_particles: int) -> Rule:
    if few.shape == more.shape:
        return Rule(few.operation)
    changed = [dim for dim, sizes in enumerate(zip(few.shape, more.shape, strict=False)) if sizes[0] != sizes[1]]
    if len(few.shape) != len(more.shape) or len(changed) != 1 or few.operation.overloadpacket not in _WHOLE:
        raise Unshared(f"they draw by {few.operation}, whose random numbers are not so many for each datum")
    (dim,) = changed
    each, left = divmod(few.shape[dim], SIZES[0])
    if left or each * SIZES[1] != more.shape[dim]:
        raise Unshared(f"they draw {few.shape[dim]} numbers for {SIZES[0]} data and {more.shape[dim]} for {SIZES[1]}")
    outside = num_particles if each % num_particles == 0 else 1
    return Rule(few.operation, dim, outside, each // outside)


@contextmanager
def listening() -> Iterator[list[Call]]:
    """Inside, random operations are noted."""
    mode = _Listening()
    with mode:
        yield mode.calls


@contextmanager
def shared_noise(learned: Sequence[Rule], part: Part, lost: Callable[[], None]) -> Iterator[None]:
    """Inside, random operations draw for the whole minibatch, and give the rows of the part.

    Args:
        learned: a rule for each operation, in their order.
        part: which rows are there.
        lost: is called once where an operation is met that no rule is about; from there on draws are the part's own.
    """
    with _Whole(learned, part, lost):
        yield


def seed_of(seed: int, step: int, worker: int | None = None) -> int:
    """A seed for what a worker draws in a step, or for what all draw alike."""
    words = [seed, step, 0 if worker is None else worker + 1]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)


def _is_random(func: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in func.tags


class _Listening(TorchDispatchMode):
    """Notes random operations."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if _is_random(func):
            drawn = result if isinstance(result, Tensor) else result[0]
            self.calls.append(Call(func, tuple(drawn.shape)))
        return result


class _Whole(TorchDispatchMode):
    """Draws for all rows where some are asked for."""

    def __init__(self, learned: Sequence[Rule], part: Part, lost: Callable[[], None]) -> None:
        super().__init__()
        self.learned, self.part, self.lost = learned, part, lost
        self.place: int | None = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not _is_random(func) or self.place is None:
            return func(*args, **kwargs)
        rule = self.learned[self.place] if self.place < len(self.learned) else None
        draw = _WHOLE.get(func.overloadpacket)
        if rule is None or rule.operation != func:
            return self._lose(func, args, kwargs)
        self.place += 1
        if rule.dim is None or draw is None:
            return func(*args, **kwargs)
        return draw(_Rows(rule.dim, rule.outside, rule.inside, self.part), func, args, kwargs)

    def _lose(self, func: Any, args: Any, kwargs: Any) -> Any:
        self.place = None
        self.lost()
        return func(*args, **kwargs)


class _Rows(NamedTuple):
    """Where the rows of a part are along a dim of the whole minibatch's numbers."""

    dim: int
    outside: int
    inside: int
    part: Part

    def shape(self, own: Sequence[int]) -> list[int]:
        """Of the whole, where the part's is this."""
        size = self.outside * self.part.num_rows * self.inside
        return [size if dim == self.dim else n for dim, n in enumerate(own)]

    def of(self, whole: Tensor) -> Tensor:
        """The part of the whole."""
        return self._apart(whole).narrow(self.dim + 1, self.part.begin, self.part.size).flatten(*self._dims)

    def placed(self, own: Tensor, fill: float) -> Tensor:
        """The whole with the part's values in their places, and one value in all others."""
        whole = own.new_full(self.shape(own.shape), fill)
        place = self._apart(whole).narrow(self.dim + 1, self.part.begin, self.part.size)
        place.copy_(own.reshape(place.shape))
        return whole

    def like(self, own: Tensor) -> Tensor:
        """An empty whole, its dims in memory in the order of the part's."""
        shape, strides = self.shape(own.shape), list(own.stride())
        if own.is_contiguous():
            return own.new_empty(shape)
        order = sorted(range(own.dim()), key=lambda dim: -strides[dim])
        back = [order.index(dim) for dim in range(own.dim())]
        return own.new_empty([shape[dim] for dim in order]).permute(back)

    @property
    def _dims(self) -> tuple[int, int]:
        return self.dim, self.dim + 2

    def _apart(self, whole: Tensor) -> Tensor:
        return whole.unflatten(self.dim, (self.outside, self.part.num_rows, self.inside))


def _in_place(rows: _Rows, func: Any, args: Any, kwargs: Any) -> Tensor:
    """`normal_` and the like; parameters that are tensors are placed in the whole."""
    rest = [rows.placed(a.expand(args[0].shape), 0.5) if isinstance(a, Tensor) else a for a in args[1:]]
    return args[0].copy_(rows.of(func(rows.like(args[0]), *rest, **kwargs)))


def _of_shape(rows: _Rows, func: Any, args: Any, kwargs: Any) -> Tensor:
    """`randn`, `randint`: the first sequence among the arguments is the shape."""
    place = next(i for i, a in enumerate(args) if isinstance(a, Sequence))
    return rows.of(func(*args[:place], rows.shape(args[place]), *args[place + 1 :], **kwargs)).contiguous()


def _like(rows: _Rows, func: Any, args: Any, kwargs: Any) -> Tensor:
    """`randn_like` and `bernoulli(x, p)`, which read no more of a tensor than its shape."""
    return rows.of(func(rows.like(args[0]), *args[1:], **kwargs)).contiguous()


def _fresh(rows: _Rows, func: Any, args: Any, kwargs: Any) -> Tensor:
    return (_like if isinstance(args[0], Tensor) else _of_shape)(rows, func, args, kwargs)


def _normal(rows: _Rows, func: Any, args: Any, kwargs: Any) -> Tensor:
    """`normal(mean, std)`, of which one may be a number."""
    if not any(isinstance(a, Tensor) for a in args[:2]):
        return _of_shape(rows, func, args, kwargs)
    shape = torch.broadcast_shapes(*(a.shape for a in args[:2] if isinstance(a, Tensor)))
    whole = [rows.placed(a.expand(shape), 1.0) if isinstance(a, Tensor) else a for a in args[:2]]
    return rows.of(func(*whole, *args[2:], **kwargs)).contiguous()


def _bernoulli(rows: _Rows, func: Any, args: Any, kwargs: Any) -> Tensor:
    if len(args) > 1:
        return _like(rows, func, args, kwargs)
    return rows.of(func(rows.placed(args[0], 0.5), **kwargs)).contiguous()


def _multinomial(rows: _Rows, func: Any, args: Any, kwargs: Any) -> Tensor:
    """`multinomial(weights, num)`: the rows are those of the weights, or the draws of one row of them."""
    weights, num, *rest = args
    if rows.dim == weights.dim() - 1:
        num = rows.shape([*weights.shape[:-1], num])[-1]
    else:
        weights = rows.placed(weights, 1.0)
    return rows.of(func(weights, num, *rest, **kwargs)).contiguous()


def _dropout(rows: _Rows, func: Any, args: Any, kwargs: Any) -> tuple[Tensor, Tensor]:
    out, mask = func(rows.placed(args[0], 1.0), *args[1:], **kwargs)
    return rows.of(out).contiguous(), rows.of(mask).contiguous()


aten = torch.ops.aten
_WHOLE: dict[Any, Callable[..., Any]] = {
    aten.normal_: _in_place,
    aten.log_normal_: _in_place,
    aten.uniform_: _in_place,
    aten.exponential_: _in_place,
    aten.cauchy_: _in_place,
    aten.geometric_: _in_place,
    aten.random_: _in_place,
    aten.bernoulli_: _in_place,
    aten.randn: _fresh,
    aten.randn_like: _fresh,
    aten.rand: _fresh,
    aten.rand_like: _fresh,
    aten.randint: _of_shape,
    aten.randint_like: _like,
    aten.normal: _normal,
    aten.bernoulli: _bernoulli,
    aten.multinomial: _multinomial,
    aten.native_dropout: _dropout,
}
"""Operations that take as many random numbers whatever they draw."""
