"""Checks of constructor arguments and of data: each names the argument, what was got and what to try."""

import math
import operator
from collections.abc import Iterable, Sequence
from itertools import chain
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn


def check_size(name: str, value: Any) -> int:
    """`value` as a positive integer.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is below one.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: got {value!r} ({type(value).__name__}), expected a positive integer")
    size = operator.index(value)
    if size < 1:
        raise ValueError(f"{name}: got {size}, expected a positive integer")
    return size


def check_count(name: str, value: Any) -> int:
    """`value` as an integer of at least zero.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is negative.
    """
    return 0 if value == 0 and not isinstance(value, bool) else check_size(name, value)


def check_sizes(name: str, values: Any) -> tuple[int, ...]:
    """`values` as a tuple of positive integers; it may be empty."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"{name}: got {values!r}, expected a sequence of positive integers such as (64, 64)")
    return tuple(check_size(f"{name}[{i}]", value) for i, value in enumerate(values))


def check_above(name: str, value: Any, bound: float) -> float:
    """`value` as a finite float strictly above `bound`.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is out of range.
    """
    number = _number(name, value)
    if not number > bound:
        raise ValueError(f"{name}: got {number}, expected a number above {bound}")
    return number


def check_at_least(name: str, value: Any, bound: float) -> float:
    """`value` as a finite float of at least `bound`.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is out of range.
    """
    number = _number(name, value)
    if not number >= bound:
        raise ValueError(f"{name}: got {number}, expected a number of at least {bound}")
    return number


def check_choice(name: str, value: Any, known: Iterable[str]) -> str:
    """`value`, one of the `known` names.

    Raises:
        ValueError: listing the known names.
    """
    names = tuple(known)
    if value not in names:
        raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(map(repr, names))}")
    return str(value)


def check_module(name: str, value: Any) -> nn.Module:
    """`value`, an instance of `nn.Module`.

    Raises:
        TypeError: if it is a class or anything else.
    """
    if isinstance(value, type) and issubclass(value, nn.Module):
        raise TypeError(f"{name}: got the class {value.__name__}, expected an instance of it; call it first")
    if not isinstance(value, nn.Module):
        raise TypeError(f"{name}: got {type(value).__name__}, expected a torch.nn.Module; wrap it in one")
    return value


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


def _number(name: str, value: Any) -> float:
    """`value` as a finite float."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: got {value!r} ({type(value).__name__}), expected a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name}: got {number}, expected a finite number")
    return number
