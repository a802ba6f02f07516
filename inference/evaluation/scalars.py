"""The latents of each datum as scalars, one site after the other, and back."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from elbowroom.inference.target import Target


def side_by_side(values: Mapping[str, Tensor]) -> Tensor:
    """Site values `[S, B, *event]`, in the order of the mapping, as `[S, B, N]`."""
    return torch.cat([v.flatten(2) if v.dim() > 2 else v.unsqueeze(-1) for v in values.values()], -1)


def by_site(target: Target, flat: Tensor) -> dict[str, Tensor]:
    """Latents side by side `[S, B, N]` as site values `[S, B, *event]` of the target's dtype, on its device."""
    values, position = {}, 0
    for name, shape in target.latents.items():
        size = math.prod(shape)
        value = flat[..., position : position + size].to(target.device, target.dtype)
        values[name] = value.reshape(*flat.shape[:2], *shape)
        position += size
    return values
