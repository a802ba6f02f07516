"""How is a datum drawn? As a picture, as lines over time, or as bars: by the shape of its values.

The page draws every datum by the same rule: `kind` names a function of `script/drawn.js`, and `sizes` are its
arguments. A new way is a line of `WAYS` here and one there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from elbowroom.inference.exploration.result import ABSENT, STEPS, Scale
from elbowroom.report.records.image_shapes import CHANNELS, image_shape_of

_LINES = 12
"""So many values at a time are still told apart as lines."""


@dataclass(frozen=True)
class Drawn:
    """How every datum of an exploration is drawn.

    Attributes:
        kind: a name in `WAYS`.
        sizes: (height, width, channels) of a picture, (steps, values) of lines, (values,) of bars.
        channels_first: whether the values of a picture come channel by channel.
    """

    kind: str
    sizes: tuple[int, ...]
    channels_first: bool = False

    def flat(self, values: Tensor, event_dims: int) -> Tensor:
        """Bytes `[…, *event]` as `[…, n]`, in the order that the page draws."""
        lead = values.shape[: values.dim() - event_dims]
        if self.channels_first:
            height, width, channels = self.sizes
            values = values.reshape(*lead, channels, height, width).movedim(-3, -1)
        return values.reshape(*lead, math.prod(self.sizes))

    def halved(self, values: Tensor) -> Tensor:
        """Flat bytes `[…, n]` of pictures, the mean of each block of two by two pixels."""
        height, width, channels = self.sizes
        tall, wide = -(-height // 2) * 2, -(-width // 2) * 2
        whole = torch.full((*values.shape[:-1], tall, wide, channels), float("nan"))
        pixels = values.reshape(*values.shape[:-1], height, width, channels).float()
        whole[..., :height, :width, :] = torch.where(pixels == ABSENT, float("nan"), pixels)
        blocks = whole.unflatten(-2, (wide // 2, 2)).unflatten(-4, (tall // 2, 2)).nanmean((-4, -2))
        return blocks.round().nan_to_num(float(ABSENT)).to(torch.uint8).flatten(-3)

    def half(self) -> "Drawn":
        """How halved pictures are drawn."""
        height, width, channels = self.sizes
        return Drawn(self.kind, (-(-height // 2), -(-width // 2), channels))


def drawn_as(x: Tensor, scale: Scale, image_shape: tuple[int, ...] | None = None) -> Drawn:
    """How data are drawn, bytes `[B, *event]`; the first of `WAYS` that fits.

    Args:
        x: the data.
        scale: of the bytes.
        image_shape: of a datum, as in `save_explorer`.

    Raises:
        ValueError: if the shape does not fit the data.
    """
    ways = (way(x, scale, image_shape) for way in WAYS.values())
    return next(found for found in ways if found is not None)


def _picture(x: Tensor, scale: Scale, image_shape: tuple[int, ...] | None) -> Drawn | None:
    values = scale.low + (scale.high - scale.low) * x.to(torch.float32).clamp(max=STEPS) / STEPS
    shape = image_shape_of(values, image_shape)
    if shape is None:
        return None
    if len(shape) == 2:
        return Drawn("picture", (*shape, 1))
    if shape[2] not in CHANNELS:
        return Drawn("picture", (*shape[1:], shape[0]), channels_first=True)
    return Drawn("picture", tuple(shape), channels_first=x.dim() == 4 and tuple(x.shape[1:]) != tuple(shape))


def _lines(x: Tensor, scale: Scale, image_shape: tuple[int, ...] | None) -> Drawn | None:
    """Sequences `[T, P]` of at least two steps."""
    fits = x.dim() == 3 and x.shape[1] > 1 and x.shape[2] <= _LINES
    return Drawn("lines", tuple(x.shape[1:])) if fits else None


def _bars(x: Tensor, scale: Scale, image_shape: tuple[int, ...] | None) -> Drawn | None:
    return Drawn("bars", (math.prod(x.shape[1:]),))


Way = Callable[[Tensor, Scale, tuple[int, ...] | None], Drawn | None]

WAYS: MappingProxyType[str, Way] = MappingProxyType({"picture": _picture, "lines": _lines, "bars": _bars})
"""How a datum may be drawn -> whether it is; the first that fits."""
