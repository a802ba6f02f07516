"""Sequences of different lengths as one tensor: the mask that says which steps are there, and what stands behind it."""

from typing import Any

import torch
from torch import Tensor

from elbowroom.networks.checks import check_batch


def check_sequences(x: Any, mask: Any, like: Tensor, num_values: int) -> tuple[Tensor, Tensor]:
    """Sequences `x [B, T, P]` and their mask as booleans `[B, T]`; without one all steps are there.

    Args:
        x: the sequences.
        mask: true, or one, where there is a step. Padding behind a sequence's end and gaps within it are alike.
        like: a program's parameter, whose dtype and device x must have.
        num_values: P, which x must have.

    Raises:
        TypeError: if x or the mask is no tensor, or x of another dtype.
        ValueError: if a shape is another, or x lies on another device.
    """
    x = check_batch(x, like)
    if x.ndim != 3 or x.shape[2] != num_values:
        raise ValueError(
            f"x: got shape {tuple(x.shape)}, expected sequences [B, T, {num_values}]: data, steps and the values of a "
            "step; for flat rows try x.reshape(len(x), T, -1)"
        )
    if mask is None:
        return x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    if not isinstance(mask, Tensor):
        raise TypeError(f"mask: got {type(mask).__name__}, expected a torch.Tensor; try torch.as_tensor(mask)")
    if mask.shape != x.shape[:2]:
        raise ValueError(f"mask: got shape {tuple(mask.shape)}, expected {tuple(x.shape[:2])}, the steps of x")
    return x, mask.bool()


def without_padding(x: Tensor, mask: Tensor) -> Tensor:
    """`x [B, T, P]`, where steps that are not there hold what the sequence's first one that is holds.

    So whatever padding was, NaN or numbers that no likelihood takes, every step has a density and a gradient, which a
    mask can leave out: of NaN, zero times the gradient would be NaN.
    """
    first = mask.to(torch.int8).argmax(1)  # [B], zero where there is none at all
    held = x.gather(1, first[:, None, None].expand(-1, 1, x.shape[2])).nan_to_num()  # [B, 1, P]
    return torch.where(mask[..., None], x, held)


def has_steps_from(mask: Tensor) -> Tensor:
    """Whether the step or any one after it is there, `[B, T]`: in the padding behind a sequence's end it is false."""
    return mask.flip(1).to(torch.int8).cummax(1).values.bool().flip(1)
