"""A loss that the caller wrote: f(model, guide, *batch) -> a number, summed over the data of the minibatch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.structure import Program

OwnLoss = Callable[..., Tensor]
"""(model, guide, *batch) -> the loss, a scalar with a graph, in nats, summed over the data."""

BOUNDS = ("lower", "none")


class Own:
    """Such a function, as training calls it; it is minimised.

    Args:
        function: the loss. If it has an attribute `bound`, that says what minus its value is: "lower", of log p(x) in
            expectation, or "none", which is taken where it has none.
    """

    def __init__(self, function: OwnLoss) -> None:
        self.function = function

    def loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Its value."""
        with torch.enable_grad():
            return self._value(model, guide, args, kwargs).item()

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Its value, with the gradients left in the parameters."""
        loss = self._value(model, guide, args, kwargs)
        if loss.requires_grad:
            loss.backward()
        return loss.item()

    def _value(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Tensor:
        loss = self.function(model, guide, *args, **kwargs)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise TypeError(
                f"the loss must be a scalar tensor, summed over the minibatch, and the function gave {got}: return "
                "loss.sum()"
            )
        return loss.reshape(())


def own_bound(function: OwnLoss) -> str:
    """What a function says that minus its value is of log p(x).

    Raises:
        TypeError: if it is none.
        ValueError: if it says something else.
    """
    if not callable(function):
        raise TypeError(
            f"loss must be a name or a function of (model, guide, *batch), got {type(function).__name__}: see "
            "elbowroom.inference.training.OBJECTIVES for the names"
        )
    bound = getattr(function, "bound", "none")
    if bound not in BOUNDS:
        raise ValueError(f"the loss has the attribute bound={bound!r}, expected 'lower' or 'none'")
    return str(bound)
