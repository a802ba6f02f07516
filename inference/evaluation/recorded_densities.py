"""What a sampler calls: the log density of one chunk of data, recorded once and evaluated in slices of bounded size."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.recorded import Traced, log_joint, log_joint_and_gradient
from elbowroom.inference.programs.evaluations import GRADIENT

_GROUPS = 8  # groups of data that are moved apart from the others
_SLICE = 1 << 16
"""Points evaluated at once at most: more gains no speed."""

_SAMPLES = 512
"""Samples of a datum at once at most: one record serves any number of them, and a record costs a hundred calls."""


@dataclass(frozen=True)
class Densities:
    """log p(x, T(u)) + log |det dT/du|, with and without its gradient.

    Attributes:
        coordinates: the coordinates of the data.
        value, value_and_gradient: the recorded programs.
        cells: how many points may be evaluated at once.
    """

    coordinates: Coordinates
    value: Traced
    value_and_gradient: Traced
    cells: int

    @classmethod
    def of(cls, coordinates: Coordinates, cells: int, compile: bool = False, record: bool = True) -> "Densities":
        """The densities of a target; the programs are recorded at the first call of each shape, not here, if at all."""
        value, with_gradient = (
            Traced(function, coordinates, compile=compile, record=record, weight=weight)
            for function, weight in ((log_joint, 1), (log_joint_and_gradient, GRADIENT))
        )
        return cls(coordinates, value, with_gradient, cells)

    def at(self, coordinates: Coordinates) -> "Densities":
        """The densities of other data; records are shared."""
        return Densities(coordinates, self.value.on(coordinates), self.value_and_gradient.on(coordinates), self.cells)

    def on(self, data: Tensor) -> "OnSome":
        """The gradient on some of the data, in groups of one fixed size so that one record serves any number."""
        size = max(1, len(self.coordinates.target) // _GROUPS)
        padded = torch.cat([data, data[:1].expand(-len(data) % size)])
        return OnSome(tuple(self.at(self.coordinates.at(group)) for group in padded.split(size)), len(data))

    def slice_of(self, num_data: int) -> int:
        """Samples of `num_data` data evaluated at once."""
        return max(1, min(self.cells, _SLICE) // num_data)

    def slice_of_record(self, num_data: int) -> int:
        """Samples of `num_data` data that a record without gradient is of: a power of two, which wastes least."""
        return 1 << (min(self.slice_of(num_data), _SAMPLES).bit_length() - 1)

    def log_joint(self, u: Tensor) -> Tensor:
        """The log density at u `[S, B, D]`, `[S, B]`; slices are made up to one size, so that one record serves all."""
        size = self.slice_of_record(u.shape[1])
        pieces = []
        for begin in range(0, len(u), size):
            piece = u[begin : begin + size]
            padded = torch.cat([piece, piece[:1].expand(size - len(piece), *piece.shape[1:])])
            pieces.append(self.value(padded)[0][: len(piece)].to(u.dtype))
        return torch.cat(pieces)

    def gradient(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The log density at u `[C, B, D]`, `[C, B]`, and its gradient, `[C, B, D]`."""
        value, gradient = self.value_and_gradient(u)
        return value.to(u.dtype), gradient.to(u.dtype)


@dataclass(frozen=True)
class OnSome:
    """The log density and its gradient for the first `count` data of the groups, the rest being padding."""

    groups: tuple[Densities, ...]
    count: int

    def __call__(self, u: Tensor) -> tuple[Tensor, Tensor]:
        size = len(self.groups[0].coordinates.target)
        padded = torch.cat([u, u[:, :1].expand(-1, -self.count % size, -1)], 1)
        pieces = [group.gradient(part) for group, part in zip(self.groups, padded.split(size, 1), strict=True)]
        value, gradient = (torch.cat(part, 1) for part in zip(*pieces, strict=True))
        return value[:, : self.count], gradient[:, : self.count]
