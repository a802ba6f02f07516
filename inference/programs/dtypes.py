"""Which dtypes meet in programs that fail because of them, in words."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

_ABOUT_DTYPES = re.compile(r"dtype|scalar type", re.IGNORECASE)


def short(value: Tensor) -> str:
    """A tensor's dtype without torch's name."""
    return str(value.dtype).removeprefix("torch.")


def meeting(error: Exception, arguments: Iterable[Any], trace: Any) -> str:
    """What an error about dtypes leaves open: those of the arguments and of the parameters met; else empty.

    Args:
        error: what a program raised.
        arguments: what it was called with.
        trace: its sites and parameters until then.
    """
    if not _ABOUT_DTYPES.search(str(error).split("Trace Shapes")[0]):
        return ""
    of_arguments = _floats(arguments)
    of_parameters = _floats(site["value"] for site in trace.nodes.values() if site["type"] == "param")
    met = [f"{what} {' and '.join(d)}" for what, d in (("arguments", of_arguments), ("parameters", of_parameters)) if d]
    default = str(torch.get_default_dtype()).removeprefix("torch.")
    told = ", ".join([*met, f"tensors made without a dtype {default}"])
    return (
        f"\n  Its dtypes do not fit together: {told}. Bring all to one: "
        "data.float(), or module.double() and torch.set_default_dtype(torch.float64)."
    )


def unequal(values: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Sites that are of one dtype in the guide and of another in the model, in words."""
    return [
        f"'{name}' is {short(value)} in the guide, {short(own[name])} in the model"
        for name, value in values.items()
        if name in own and own[name].dtype != value.dtype
    ]


def _floats(values: Iterable[Any]) -> list[str]:
    return sorted({short(v) for v in values if isinstance(v, Tensor) and v.is_floating_point()})
