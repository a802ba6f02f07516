"""Stops layers that behave differently in training before they run: log densities must be functions of the datum."""

from typing import Any

from torch import nn
from torch.overrides import TorchFunctionMode

_F = nn.functional
_TRAINING: dict[Any, str] = {
    _F.batch_norm: "the terms of a datum would depend on the other data",
    **dict.fromkeys(
        (_F.dropout, _F.dropout1d, _F.dropout2d, _F.dropout3d, _F.alpha_dropout, _F.feature_alpha_dropout),
        "its densities would be random",
    ),
}


class TrainingModeError(Exception):
    """A layer in training mode inside a program that is to be evaluated."""


class RefuseTraining(TorchFunctionMode):
    """Inside, batch normalisation and dropout in training mode raise instead of changing their running statistics."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _TRAINING and kwargs.get("training"):
            raise TrainingModeError(
                f"{func.__name__} runs in training mode: {_TRAINING[func]}. Put the program's modules in evaluation "
                "mode first (.eval())"
            )
        return func(*args, **kwargs)
