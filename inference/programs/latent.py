"""How one latent site lies in a program: its shapes, its coordinates, how many values it has."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributions.transforms import identity_transform

from elbowroom.inference.programs.log_prob import bijection, enumerable, is_point, support_of

_POINTS, _ROUNDING = 8, 64
"""Points at which T is tried, and how many units of the last digit its values may differ there and yet be one."""


@dataclass(frozen=True)
class Latent:
    """One latent site: how its value `[S, B, *inner, *event]` lies inside the program.

    Attributes:
        name: the site's name.
        rank: number of batch dims in a plain run.
        inner: sizes of the batch dims other than the data plate's, leftmost first, absent plates as 1.
        event: the event shape.
        unconstrained: the event shape after `biject_to(support).inv`; None for a discrete site, and where no bijection
            is known.
        num_values: how many values it has, its plates' taken together; None if they are not finitely many, in both
            programs.
        elementwise: whether that bijection acts on each element by itself.
        real: whether it is the identity: the support is the whole of R^n.
        dtype: of its values, where it has coordinates; None for others.
        constant: for each element of the event, row by row, whether the bijection gives it one value at every point
            (zeros above the diagonal of a Cholesky factor); empty if none is.
    """

    name: str
    rank: int
    inner: tuple[int, ...]
    event: tuple[int, ...]
    unconstrained: tuple[int, ...] | None
    elementwise: bool
    real: bool
    num_values: int | None = None
    dtype: torch.dtype | None = None
    constant: tuple[bool, ...] = ()

    @property
    def plates(self) -> tuple[int, ...]:
        """Sizes of the plates besides the data's that one datum's values stand in; one of size 1 is none."""
        return tuple(n for n in self.inner if n > 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one value of one datum."""
        return self.plates + self.event


def latent_of(name: str, site: Any, drawn: Any, data_dim: int | None, nesting: int) -> Latent:
    """Read a latent site off a plain run of the model.

    Args:
        name: the site's name.
        site: Pyro's record of it.
        drawn: the guide's.
        data_dim: dim of the data plate among batch dims, from the right; None for one datum.
        nesting: number of batch dims that plates use.
    """
    fn, value = site["fn"], site["value"]
    event = tuple(value.shape[value.dim() - fn.event_dim :])
    batch = tuple(value.shape[: value.dim() - fn.event_dim])
    rank, batch = len(batch), (1,) * (nesting - len(batch)) + batch
    inner = batch if data_dim is None else tuple(n for i, n in enumerate(batch) if i - nesting != data_dim)
    if enumerable(fn) or getattr(support_of(fn), "is_discrete", False):
        return Latent(name, rank, inner, event, None, False, False, _num_values(fn, drawn["fn"], inner))
    try:
        transform = bijection(fn)
    except NotImplementedError:
        return Latent(name, rank, inner, event, None, False, False)
    u = transform.inv(value)
    unconstrained = tuple(u.shape[value.dim() - fn.event_dim :])
    innermost = _innermost_transform(transform)
    elementwise = innermost.domain.event_dim == 0 and innermost.codomain.event_dim == 0
    real = innermost == identity_transform
    constant = () if elementwise else _constant(transform, u, len(event))
    return Latent(name, rank, inner, event, unconstrained, elementwise, real, dtype=value.dtype, constant=constant)


def _num_values(fn: Any, guide: Any, inner: tuple[int, ...]) -> int | None:
    point = is_point(guide)  # one of the model's values
    if not (enumerable(fn) and (point or enumerable(guide))):
        return None
    try:
        listed = [len(f.enumerate_support(expand=False)) for f in ([fn] if point else [fn, guide])]
        return int(max(listed) ** math.prod(inner))
    except NotImplementedError:
        return None


def _constant(transform: Any, u: torch.Tensor, event_dim: int) -> tuple[bool, ...]:
    """Elements of T(u) that are the same, to rounding, at points that have nothing in common."""
    points = torch.randn(_POINTS, *u.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = transform(points.to(u))
    z = z.reshape(-1, *z.shape[z.dim() - event_dim :])
    still = (z - z[0]).abs().amax(0) <= _ROUNDING * torch.finfo(z.dtype).eps * z.abs().amax(0)
    return tuple(still.flatten().tolist()) if bool(still.any()) else ()


def _innermost_transform(transform: Any) -> Any:
    while hasattr(transform, "base_transform"):
        transform = transform.base_transform
    return transform
