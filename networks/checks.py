"""Checks of data by programs: each names the argument, what was got and what to try."""

from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


def check_batch(x: Any, like: Tensor) -> Tensor:
    """`x` itself, a non-empty batch `[B, ...]` of the dtype and on the device of `like`, a program's parameter.

    Raises:
        TypeError: if it is no tensor or of another dtype.
        ValueError: if it has no batch dimension, is empty or lies on another device.
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"x: got {type(x).__name__}, expected a torch.Tensor; try torch.as_tensor(x)")
    if x.ndim < 2:
        raise ValueError(
            f"x: got shape {tuple(x.shape)}, expected a batch [B, P] or [B, ...]; for a single datum pass x[None]"
        )
    if x.numel() == 0:
        raise ValueError(f"x: got shape {tuple(x.shape)}, which holds no data; expected at least one datum")
    if x.dtype != like.dtype:
        raise TypeError(
            f"x: got {x.dtype}, but the program's parameters are {like.dtype}; try x.to({like.dtype}) "
            f"or program.to({x.dtype})"
        )
    if x.device != like.device:
        raise ValueError(f"x: got device {x.device}, but the program is on {like.device}; try x.to('{like.device}')")
    return x


def check_width(x: Tensor, expected: int, *, says: str) -> Tensor:
    """`x` flattened to `[B, P]`, where P must be `expected`; `says` tells what wants that width.

    Raises:
        ValueError: naming both numbers.
    """
    flat = x if x.ndim == 2 else x.flatten(1)
    if flat.shape[1] != expected:
        raise ValueError(
            f"x: got {flat.shape[1]} values per datum (shape {tuple(x.shape)}), expected {expected} ({says})"
        )
    return flat


def reference_tensor(module: nn.Module) -> Tensor:
    """The first floating-point parameter or buffer of `module`, whose dtype and device stand for all of it.

    A module without one (a pure function) stands for the default dtype on the CPU.
    """
    for tensor in chain(module.parameters(), module.buffers()):
        if tensor.is_floating_point():
            return tensor
    return torch.empty(())
