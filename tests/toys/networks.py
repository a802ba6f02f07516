"""Somebody's networks, for the adapters of models and guides."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Returns(nn.Module):
    """A network that returns `make(inputs)`, whatever that is."""

    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.make = make

    def forward(self, inputs: Tensor) -> Any:
        return self.make(inputs)
