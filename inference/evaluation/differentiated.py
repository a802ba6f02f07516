"""Functions that end with a gradient in u, as two parts: what runs the programs, and what is differentiated of it.

A record of the first part is simplified before the second is recorded on top. What a program works out twenty times,
the rows of a chain's transitions at each of its steps, say, is then differentiated once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates

Forward = Callable[[Tensor], tuple[Tensor, ...]]
"""u `[S, B, D]` -> tensors `[S, B]` that carry their graphs."""


@dataclass(frozen=True)
class Differentiated:
    """`reduce` of the forward part, at u.

    Attributes:
        forward: (coordinates, u) -> tensors `[S, B]`, functions of u.
        reduce: (forward at these coordinates, u) -> results without a graph, gradients among them.
    """

    forward: Callable[[Coordinates, Tensor], tuple[Tensor, ...]]
    reduce: Callable[[Forward, Tensor], tuple[Tensor, ...]]

    def __call__(self, coordinates: Coordinates, u: Tensor) -> tuple[Tensor, ...]:
        """Both parts at u `[S, B, D]`."""
        return self.reduced(lambda at: self.forward(coordinates, at), u)

    def reduced(self, forward: Forward, u: Tensor) -> tuple[Tensor, ...]:
        """The second part of a forward part."""
        with torch.enable_grad():
            return self.reduce(forward, u.detach().requires_grad_(True))
