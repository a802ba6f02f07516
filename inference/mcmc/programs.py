"""The densities that a sampler calls, of one chunk of data: recorded once, evaluated in slices of bounded size."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.coordinates import Coordinates
from elbowroom.inference.traced import Traced, log_joint, log_joint_and_gradient

_SLICE = 1 << 16
"""Points evaluated at once at most: more gains no speed."""


@dataclass(frozen=True)
class Densities:
    """log p(x, T(u)) + log |det dT/du|, with and without its gradient.

    Attributes:
        coordinates: the target's.
        value, value_and_gradient: the recorded programs.
        cells: points that may be evaluated at once.
    """

    coordinates: Coordinates
    value: Traced
    value_and_gradient: Traced
    cells: int

    @classmethod
    def of(cls, coordinates: Coordinates, cells: int, compile: bool = False) -> "Densities":
        """Nothing is recorded yet: that happens at the first call of each shape."""
        programs = (Traced(function, coordinates, compile=compile) for function in (log_joint, log_joint_and_gradient))
        return cls(coordinates, *programs, cells)

    def at(self, coordinates: Coordinates) -> "Densities":
        """The same on other data; records are shared."""
        return Densities(coordinates, self.value.on(coordinates), self.value_and_gradient.on(coordinates), self.cells)

    def on(self, rows: Tensor) -> "_OnRows":
        """The gradient on some of the data, made up to a few fixed sizes so that records serve again."""
        size = len(self.coordinates.target)
        while size // 2 >= len(rows):
            size //= 2
        padded = torch.cat([rows, rows[:1].expand(size - len(rows))])
        return _OnRows(self.at(self.coordinates.at(padded)), len(rows), size)

    def slice_of(self, num_data: int) -> int:
        """Samples of `num_data` data evaluated at once."""
        return max(1, min(self.cells, _SLICE) // num_data)

    def log_joint(self, u: Tensor) -> Tensor:
        """At u `[S, B, D]`, `[S, B]`; slices are made up to one size."""
        size = min(self.slice_of(u.shape[1]), len(u))
        pieces = []
        for begin in range(0, len(u), size):
            piece = u[begin : begin + size]
            padded = torch.cat([piece, piece[:1].expand(size - len(piece), *piece.shape[1:])])
            pieces.append(self.value(padded)[0][: len(piece)])
        return torch.cat(pieces)

    def gradient(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """log density `[C, B]` and its gradient `[C, B, D]`."""
        value, gradient = self.value_and_gradient(u)
        return value, gradient


@dataclass(frozen=True)
class _OnRows:
    densities: Densities
    count: int
    size: int

    def __call__(self, u: Tensor) -> tuple[Tensor, Tensor]:
        padded = torch.cat([u, u[:, :1].expand(-1, self.size - self.count, -1)], 1)
        value, gradient = self.densities.gradient(padded)
        return value[:, : self.count], gradient[:, : self.count]
