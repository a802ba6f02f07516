"""A plane (or a line) in latent space: u = origin + a · axes[0] + b · axes[1]."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.showing.numbers import plain
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


@dataclass(frozen=True, repr=False)
class Frame(Shown):
    """A plane in the unconstrained coordinates u of a datum's latents, or a line where there is one latent alone.

    Attributes:
        origin: u where a = b = 0, `[D]`.
        axes: `[P, D]`, P = 1 or 2: u = origin + Σ_p place[p] · axes[p].
        duals: `[P, D]`: place[p] = duals[p] · (u − origin) of a point anywhere, which puts it where it falls upon the
            plane; duals · axesᵀ is the identity.
        window: the part that is shown, lowest and highest place along each axis, `[P, 2]`.
        names: of the axes, P of them.
        says: which directions these are, a sentence.
    """

    origin: Tensor
    axes: Tensor
    duals: Tensor
    window: Tensor
    names: tuple[str, ...]
    says: str

    def as_table(self) -> Table:
        """Which directions these are, and the window."""
        rows = [
            (n, plain(float(low), 3), plain(float(high), 3), "")
            for n, (low, high) in zip(self.names, self.window, strict=True)
        ]
        return Table((self.says,), ("axis", "from", "to", ""), "<>><", rows, noun="axes")

    def points(self, places: Tensor) -> Tensor:
        """u at places `[..., P]`, `[..., D]`."""
        return self.origin + places @ self.axes

    def places(self, u: Tensor) -> Tensor:
        """Where points `[..., D]` fall upon the plane, `[..., P]`."""
        return (u - self.origin) @ self.duals.T

    def lattice(self, size: int) -> Tensor:
        """Places of `size` points along each axis, ends of the window included, `[size, …, P]`: axis 0 varies first."""
        along = [torch.linspace(float(low), float(high), size, dtype=self.window.dtype) for low, high in self.window]
        return torch.stack(torch.meshgrid(*along, indexing="ij"), -1)
