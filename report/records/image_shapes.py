"""Which data are pictures, and of which height and width."""

import math

from torch import Tensor

CHANNELS = (1, 3)
"""Numbers of channels that a picture may have."""
_FEWEST = 64  # pixels of a flat row that may be taken for a picture


def image_shape_of(x: Tensor, image_shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Height, width and perhaps channels (or channels, height, width) of a datum; None if the data are no pictures.

    Without a given shape, `[B, H, W]`, `[B, C, H, W]` and `[B, H, W, C]` (C = 1 or 3) are pictures, and so are flat
    rows between 0 and 1 whose length is a square of at least 8. An empty shape `()` says that they are none.

    Raises:
        ValueError: if the shape does not fit the data.
    """
    size = math.prod(x.shape[1:])
    if image_shape is not None:
        if not image_shape:
            return None
        coloured = len(image_shape) == 3 and (image_shape[2] in CHANNELS or image_shape[0] in CHANNELS)
        if math.prod(image_shape) != size or not (len(image_shape) == 2 or coloured):
            raise ValueError(
                f"image_shape is {image_shape}, but a datum has {size} values: give (height, width), (height, width, "
                "channels) or (channels, height, width) with that product and 1 or 3 channels, or () for data that are "
                "no pictures"
            )
        return image_shape
    if x.dim() == 4 and x.shape[1] in CHANNELS:
        return (*x.shape[2:], x.shape[1])
    if x.dim() == 4 and x.shape[3] in CHANNELS:
        return tuple(x.shape[1:])
    if x.dim() == 3 and min(x.shape[1:]) > 3:
        return tuple(x.shape[1:])
    side = math.isqrt(size)
    flat = x.dim() == 2 and side * side == size and size >= _FEWEST
    return (side, side) if flat and bool(((x >= 0) & (x <= 1)).all()) else None
