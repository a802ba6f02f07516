"""How `make_fx` notes the shapes of what it records, without the mode of fake tensors that takes longest."""

from contextlib import AbstractContextManager
from typing import Any

from elbowroom.inference.programs.private_torch import TorchDispatchMode, TracingContext, tracing


class _Meta(TorchDispatchMode):
    """Makes the tensor that `make_fx` notes for each operation, which `simplified` reads sizes and strides of."""

    shape_env = None  # no size is symbolic: torch asks

    def __torch_dispatch__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **{**(kwargs or {}), "device": "meta"})


def noting_shapes_alone() -> AbstractContextManager[Any]:
    """In place of the mode of fake tensors that `make_fx` makes for each operation."""
    return tracing(TracingContext(_Meta()))  # type: ignore[arg-type]
