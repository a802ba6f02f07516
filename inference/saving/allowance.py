"""How much may be built: torch's operations are looked at before they are run, and refused where they take too much.

What is to be built is known from elsewhere, by the shapes of stored tensors; a description that asks for a thousand
times as much is wrong, or means harm.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.private_torch import TorchDispatchMode, schema_of, tree_iter, tree_map


class TooMuchError(ValueError):
    """More was to be built than is allowed."""


class Allowance(TorchDispatchMode):
    """A context in which torch makes tensors of at most so many bytes, by so many operations.

    Each operation is tried on shapes alone first (torch's meta device), where it can be. Whatever is done outside of
    torch is not seen.

    Args:
        num_bytes: of all tensors that are made, those that are let go of among them.
        num_operations: that make or change tensors.

    Raises:
        TooMuchError: from within, before it is too late.
    """

    def __init__(self, num_bytes: int, num_operations: int) -> None:
        super().__init__()
        self.bytes_left, self.operations_left = num_bytes, num_operations

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.operations_left -= 1
        if not schema_of(func).is_mutable and not func.is_view:
            self.bytes_left -= _bytes_of(func, args, kwargs)
        if self.bytes_left < 0 or self.operations_left < 0:
            raise TooMuchError("more tensors, or larger ones, were to be made than are stored")
        return func(*args, **kwargs)


def allowance_for(stored: int) -> Allowance:
    """What may be made to build what is stored in so many bytes: initial values and masks take some times as much."""
    return Allowance(64 * 2**20 + 64 * stored, 20_000 + stored // 16)


def _bytes_of(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> int:
    """Bytes that an operation would make, as it says of shapes alone; 0 where it cannot."""
    try:
        shaped, named = tree_map(_without_values, (args, {**kwargs, **_on_meta(func, kwargs)}))
        made = func(*shaped, **named)
    except (NotImplementedError, RuntimeError):  # its shape depends on values, of which there are no more than given
        return 0
    return sum(one.nbytes for one in tree_iter(made) if isinstance(one, Tensor))


def _on_meta(func: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The device, of an operation that is told one; its generator is of another."""
    told = {"device": torch.device("meta"), "pin_memory": None, "generator": None}
    return {
        one.name: told[one.name] for one in schema_of(func).arguments if one.name in told and one.name in kwargs | told
    }


def _without_values(value: Any) -> Any:
    return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value
