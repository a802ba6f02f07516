"""What is used of torch beyond its public names, in one place: another version may lack it, and then says so here."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph

TRIED = "2.13"
"""The version that all of it was tried with."""

try:
    from torch import _foreach_mul_ as multiply_each_in_place
    from torch._guards import TracingContext, tracing
    from torch._ops import OpOverload
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_iter, tree_map, tree_map_only
except ImportError as error:  # pragma: no cover
    raise ImportError(
        f"torch {torch.__version__} lacks a name that elbowroom uses ({error}). It was tried with torch {TRIED}: "
        f"install 'torch=={TRIED}.*', or a newer elbowroom"
    ) from error

__all__ = [
    "TRIED",
    "OpOverload",
    "TorchDispatchMode",
    "TracingContext",
    "buffers_of",
    "codegen_of",
    "fan_in_of",
    "is_view",
    "multiply_each_in_place",
    "schema_of",
    "tracing",
    "tree_iter",
    "tree_map",
    "tree_map_only",
    "validation_switched_off",
]


def validation_switched_off(fn: Any) -> bool:
    """Whether a distribution was made with `validate_args=False`, and not merely where validation is off."""
    return fn._validate_args is False


def schema_of(op: OpOverload) -> Any:
    """What an operation takes and returns, and which of it are views or are written to."""
    return op._schema


def codegen_of(graph: Graph) -> Any:
    """How the arguments of a graph are nested."""
    return graph._codegen


def is_view(tensor: Tensor) -> bool:
    """Whether a tensor has its memory from another."""
    return bool(tensor._is_view())


def buffers_of(module: nn.Module) -> dict[str, Tensor | None]:
    """The buffers that a module holds itself, to be changed."""
    return module._buffers


def fan_in_of(weight: Tensor) -> int:
    """How many inputs each output of a layer reads."""
    return int(nn.init._calculate_fan_in_and_fan_out(weight)[0])
