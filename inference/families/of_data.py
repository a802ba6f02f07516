"""The log densities that members are fitted to: of some of the data, in float64."""

from typing import Protocol

from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.families.expectation import Density


class Differentiable(Protocol):
    """A log density of every datum with its gradient, such as `Densities`."""

    @property
    def coordinates(self) -> Coordinates:
        """Those of the data."""

    def gradient(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The log density at u `[S, B, D]`, `[S, B]`, and its gradient, `[S, B, D]`."""

    def on(self, data: Tensor) -> Density:
        """The same of some of the data."""


def density_of(densities: Differentiable, data: Tensor | None = None) -> Density:
    """Of some of the data `[b]`, by default of all; programs that cannot be given part of their data run on all."""
    target = densities.coordinates.target
    dtype = target.dtype
    density = densities.gradient if data is None or len(data) == len(target) else _on(densities, data)

    def in_double(u: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = density(u.to(dtype))
        return value.double(), gradient.double()

    return in_double


def _on(densities: Differentiable, data: Tensor) -> Density:
    target = densities.coordinates.target
    if target.sliceable:
        return densities.on(data)

    def of_all(u: Tensor) -> tuple[Tensor, Tensor]:
        filled = u[:, :1].expand(-1, len(target), -1).index_copy(1, data, u)
        value, gradient = densities.gradient(filled)
        return value[:, data], gradient[:, data]

    return of_all
