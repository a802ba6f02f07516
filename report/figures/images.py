"""Pictures of data: reconstructions beside their originals, samples from the prior, draws of several models."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.report.figures.style import Picture, new_figure, styled

_GAP = "#FFFFFF"
_CELL = 0.62  # inches of a picture's side


@checked
def reconstruction_figure(originals: Tensor, reconstructions: Tensor, image_shape: Sequence[int]) -> Picture:
    """Data in the upper rows, what the model makes of their codes below.

    Args:
        originals, reconstructions: `[B, ...]`, of as many values per datum as `image_shape` says; of the
            reconstructions usually the mean of p(x|z) at z = E_q[z].
        image_shape: (height, width), (height, width, 3) or (3, height, width).

    Raises:
        ValueError: if the shapes do not fit, or there are no data.
    """
    pairs = [as_images("originals", originals, image_shape), as_images("reconstructions", reconstructions, image_shape)]
    count = len(pairs[0])
    if len(pairs[1]) != count:
        raise ValueError(f"reconstructions: got {len(pairs[1])} for {count} originals, expected one for each")
    columns = min(count, 16)
    blocks = -(-count // columns)
    limits = value_range(*pairs)
    with styled():
        figure = new_figure(1.4 + _CELL * columns, 0.45 + 2.3 * _CELL * blocks)
        axes = figure.subplots(blocks, 1, squeeze=False)[:, 0]
        for i, ax in enumerate(axes):
            part = slice(i * columns, (i + 1) * columns)
            rows = np.stack([fill_up(images[part], columns) for images in pairs])  # [2, C, H, W]
            show_mosaic(ax, rows, limits)
            height = rows.shape[2]
            ax.set_yticks([height / 2, 1.5 * height + 1], ["data x", "mean of p(x|z)"])
        figure.suptitle(f"{count} data and their reconstructions from q's mean", x=0.01, ha="left")
    return figure


@checked
def prior_samples_figure(
    samples: Tensor, image_shape: Sequence[int], *, title: str = "E[x|z] for {} draws of z from the prior"
) -> Picture:
    """Means of p(x|z) for z drawn from the prior, in a square.

    Args:
        samples: `[N, ...]`.
        image_shape: (height, width), (height, width, 3) or (3, height, width).
        title: what they are, if something else; `{}` is how many.

    Raises:
        ValueError: if the shapes do not fit, or there are no samples.
    """
    images = as_images("samples", samples, image_shape)
    columns = int(np.ceil(np.sqrt(len(images))))
    rows = -(-len(images) // columns)
    grid = fill_up(images, rows * columns).reshape(rows, columns, *images.shape[1:])
    with styled():
        figure = new_figure(0.3 + _CELL * columns, 0.6 + _CELL * rows)
        ax = figure.subplots()
        show_mosaic(ax, grid, value_range(images))
        figure.suptitle(title.format(len(images)), x=0.01, ha="left")
    return figure


@checked
def image_rows_figure(rows: Mapping[str, Tensor], image_shape: Sequence[int], *, title: str) -> Picture:
    """Images of several origins, a row of each.

    Args:
        rows: name -> `[N, ...]`, in the order from top to bottom; shorter rows end in white.
        image_shape: (height, width), (height, width, 3) or (3, height, width).
        title: what they are.

    Raises:
        ValueError: if the shapes do not fit, or there are no rows or images.
    """
    if not rows:
        raise ValueError("rows: got none, expected images by name")
    images = [as_images(f"rows[{name!r}]", data, image_shape) for name, data in rows.items()]
    columns = max(map(len, images))
    grid = np.stack([fill_up(row, columns) for row in images])  # [R, C, H, W]
    with styled():
        figure = new_figure(1.4 + _CELL * columns, 0.6 + _CELL * len(rows))
        ax = figure.subplots()
        show_mosaic(ax, grid, value_range(*images))
        height = grid.shape[2]
        ax.set_yticks([height / 2 + i * (height + 1) for i in range(len(rows))], list(rows))
        figure.suptitle(title, x=0.01, ha="left")
    return figure


def as_images(name: str, data: Tensor, image_shape: Sequence[int]) -> np.ndarray:
    """Data `[B, ...]` as `[B, H, W]` grey or `[B, H, W, 3]` coloured images.

    Raises:
        ValueError: if `image_shape` is none of the three forms, or the data have another number of values.
    """
    shape = tuple(int(n) for n in image_shape)
    channels_first = len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3)
    if not (len(shape) == 2 or channels_first or (len(shape) == 3 and shape[2] in (1, 3))):
        raise ValueError(
            f"image_shape: got {shape}, expected (height, width), (height, width, channels) or (channels, height, "
            "width) with 1 or 3 channels"
        )
    data = torch.as_tensor(data)
    if len(data) == 0 or data[0].numel() != int(np.prod(shape)):
        raise ValueError(f"{name}: got shape {tuple(data.shape)}, expected at least one datum of {shape} values")
    images = data.detach().cpu().double().numpy().reshape(len(data), *shape)
    if len(shape) == 2:
        return images
    if channels_first:
        images = np.moveaxis(images, 1, -1)
    return images[..., 0] if images.shape[-1] == 1 else images


def value_range(*images: np.ndarray) -> tuple[float, float]:
    """What white and black stand for: 0 and 1 if all values lie there, else the extremes."""
    low, high = min(i.min() for i in images), max(i.max() for i in images)
    return (0.0, 1.0) if low >= 0 and high <= 1 else (float(low), float(high))


def fill_up(images: np.ndarray, size: int) -> np.ndarray:
    """As many images as `size`, the missing ones empty (NaN)."""
    empty = np.full((max(0, size - len(images)), *images.shape[1:]), np.nan)
    return np.concatenate([images, empty])


def show_mosaic(ax: Axes, grid: np.ndarray, limits: tuple[float, float]) -> None:
    """Images `[rows, columns, H, W]` or `[..., H, W, 3]` side by side, one empty pixel apart; ink is dark."""
    rows, columns, height, width = grid.shape[:4]
    canvas = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, *grid.shape[4:]), np.nan)
    for i in range(rows):
        for j in range(columns):
            top, left = i * (height + 1), j * (width + 1)
            canvas[top : top + height, left : left + width] = grid[i, j]
    low, high = limits
    if grid.ndim == 5:  # colour has no map: scale it here, and leave the gaps white
        canvas = np.nan_to_num((canvas - low) / max(high - low, 1e-12), nan=1.0).clip(0, 1)
    ax.imshow(canvas, cmap="gray_r", vmin=low, vmax=high, interpolation="nearest", aspect="equal")
    ax.set_facecolor(_GAP)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
