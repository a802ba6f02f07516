"""A few random data of each kind of `elbowroom.datasets.KINDS`, as programs are called with them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Draw = Callable[..., Tensor]

VALUES: dict[str, Draw] = {
    "binary": lambda *shape: (torch.randn(shape) > 0).to(torch.get_default_dtype()),
    "real": torch.randn,
    "unit": lambda *shape: 0.05 + 0.9 * torch.rand(shape),
    "counts": lambda *shape: torch.poisson(3 * torch.rand(shape)),
    "levels": lambda *shape: torch.randint(0, 3, shape).to(torch.get_default_dtype()),
}
"""Kind of values -> a tensor of them of a shape."""


def _flat(num_data: int, draw: Draw, sizes: Mapping[str, Any]) -> tuple[Tensor, ...]:
    return (draw(num_data, sizes["data_dim"]),)


def _images(num_data: int, draw: Draw, sizes: Mapping[str, Any]) -> tuple[Tensor, ...]:
    return (draw(num_data, *sizes["image_shape"]),)


def _steps(num_data: int, draw: Draw, sizes: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Sequences of T, T − 1, …, 1 steps, and again; what lies behind a sequence's end is zero."""
    num_steps = sizes.get("num_steps", 3)
    lengths = num_steps - torch.arange(num_data) % num_steps
    mask = torch.arange(num_steps) < lengths.unsqueeze(-1)
    return draw(num_data, num_steps, sizes["data_dim"]) * mask.unsqueeze(-1), mask


def _labelled(num_data: int, draw: Draw, sizes: Mapping[str, Any]) -> tuple[Tensor, ...]:
    return draw(num_data, sizes["data_dim"]), torch.arange(num_data) % sizes.get("num_classes", 3)


def _partly_labelled(num_data: int, draw: Draw, sizes: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Every second label is not told."""
    return *_labelled(num_data, draw, sizes), torch.arange(num_data) % 2 == 0


def _halves(num_data: int, draw: Draw, sizes: Mapping[str, Any]) -> tuple[Tensor, ...]:
    return draw(num_data, sizes["data_dim"]), draw(num_data, sizes["context_dim"])


TOYS: dict[str, Callable[[int, Draw, Mapping[str, Any]], tuple[Tensor, ...]]] = {
    **dict.fromkeys(VALUES, _flat),
    "bag": lambda num_data, draw, sizes: _flat(num_data, VALUES["counts"], sizes),
    "image": _images,
    "sequence": _steps,
    "labelled": _labelled,
    "partly-labelled": _partly_labelled,
    "completion": _halves,
}


def toy_data(kind: str, values: str, num_data: int, sizes: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Random data of a kind.

    Args:
        kind: a name in `KINDS`.
        values: what the values of x are, where the kind leaves it open: a name in `VALUES`.
        num_data: how many.
        sizes: `data_dim`, `image_shape`, `num_steps`, `num_classes`, `context_dim`, as far as the kind needs them.
    """
    return TOYS[kind](num_data, VALUES[kind if kind in VALUES else values], sizes)
