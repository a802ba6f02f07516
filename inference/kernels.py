"""exp, log and tanh of compiled programs by torch's own kernels: those that the compiler writes take much longer.

On x86 torch calls a vector library for them (measured, single precision, AVX-512: 0.15 ns a number for exp, 0.3 for
tanh); the code that `torch.compile` generates takes five times as long, and so takes torch's own log1p.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


@torch.library.custom_op("elbowroom::exp", mutates_args=())
def exp(x: Tensor) -> Tensor:
    """e^x, opaque to the compiler."""
    return torch.exp(x)


@torch.library.custom_op("elbowroom::log", mutates_args=())
def log(x: Tensor) -> Tensor:
    """log x, opaque to the compiler."""
    return torch.log(x)


@torch.library.custom_op("elbowroom::tanh", mutates_args=())
def tanh(x: Tensor) -> Tensor:
    """tanh x, opaque to the compiler."""
    return torch.tanh(x)


for _op in (exp, log, tanh):
    _op.register_fake(torch.empty_like)


def log1p(x: Tensor) -> Tensor:
    """log(1 + x), right to rounding for small x too: log(u) x / (u − 1) with u the rounded 1 + x (Kahan)."""
    u = 1 + x
    exact = (u == 1) | u.isinf()
    return torch.where(exact, x, log(u) * (x / (u - 1)))


class Kernels(TorchDispatchMode):
    """While a program is recorded on the CPU, without gradients: these functions are left to torch."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        rule = _RULES.get(func)
        if rule is None or args[0].device.type != "cpu" or not args[0].is_floating_point():
            return func(*args, **(kwargs or {}))
        return rule(*args)


def _in_place(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: x.copy_(function(x))


aten = torch.ops.aten
_RULES: dict[Any, Callable[[Tensor], Tensor]] = {
    aten.exp.default: exp,
    aten.exp_.default: _in_place(exp),
    aten.log1p.default: log1p,
    aten.log1p_.default: _in_place(log1p),
    aten.tanh.default: tanh,
    aten.tanh_.default: _in_place(tanh),
}
