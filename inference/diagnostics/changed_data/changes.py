"""What data may be that were not prepared as in training: images turned over, colours last, other scales."""

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor

_LEAST_SIDE, _OBLONG = 4, 1.5  # pixels of an image's side; the longer side by the shorter, of vectors read as images

_BYTES = 2.0  # values above it are none of 0 … 1

Effect = Literal["order", "values", "scale"]
"""Entries change places, or values change and volumes stay, or volumes change, too."""

Ways = Callable[[Tensor], Iterator[tuple[str, Tensor]]]
"""x -> T(x) for each way in which x can be taken, with words for it."""


class Change(NamedTuple):
    """x -> T(x).

    Attributes:
        name: what was done to the data, in words that follow "read …".
        effect: on what stands where.
        changed: T(x), `[B, ...]` as x, for each way in which x can be taken; nothing for data that it is not for.
    """

    name: str
    effect: Effect
    changed: Ways

    @property
    def keeps_volume(self) -> bool:
        """Whether |det T'| = 1."""
        return self.effect != "scale"


def shuffled(x: Tensor, count: int) -> Iterator[Tensor]:
    """The data with their entries in orders that are no usual ones, drawn at random."""
    flat, draw = x.flatten(1), torch.Generator().manual_seed(0)
    for _ in range(count):
        order = torch.randperm(flat.shape[1], generator=draw).to(x.device)
        yield flat[:, order].reshape(x.shape)


def _of_images(turn: Callable[[Tensor], Tensor], *, square: bool = False) -> Ways:
    """A turn of images `[B, C, H, W]`, for data that are some, or vectors as long as some."""

    def changed(x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for about, images, back in _as_images(x):
            if not square or images.shape[-1] == images.shape[-2]:
                yield about, back(turn(images)).reshape(x.shape)

    return changed


def _of_values(change: Callable[[Tensor], Tensor | None]) -> Ways:
    """A change of values, which is None for values that it is not for."""

    def changed(x: Tensor) -> Iterator[tuple[str, Tensor]]:
        found = change(x)
        if found is not None:
            yield "", found

    return changed


def _as_images(x: Tensor) -> Iterator[tuple[str, Tensor, Callable[[Tensor], Tensor]]]:
    """Ways to take data as images `[B, C, H, W]`, each with the way back and words for what was taken for granted."""
    shape = x.shape[1:]
    if len(shape) == 2:
        yield "", x.unsqueeze(1), lambda y: y.squeeze(1)
    elif len(shape) == 3 and shape[0] in (1, 3, 4):
        yield "", x, lambda y: y
    elif len(shape) == 3 and shape[2] in (1, 3, 4):
        yield "", x.movedim(-1, 1), lambda y: y.movedim(1, -1)
    elif len(shape) == 1:
        for height, width in _sides(shape[0]):
            yield f" as {height} × {width} images", x.reshape(-1, 1, height, width), lambda y: y
        for height, width in _sides(shape[0] // 3) if shape[0] % 3 == 0 else ():
            about = f" as {height} × {width} images of three colours"
            if height == width:
                yield about, x.reshape(-1, 3, height, width), lambda y: y


def _sides(size: int) -> Iterator[tuple[int, int]]:
    """Height and width of images of so many pixels that are not too oblong."""
    for height in range(_LEAST_SIDE, math.isqrt(size) + 1):
        width = size // height
        if height * width == size and width <= _OBLONG * height:
            yield from {(height, width), (width, height)}


def _colours(x: Tensor, *, first: bool) -> Iterator[tuple[str, Tensor]]:
    """Values of three colours in the order that images have whose colours stand first, or last, in the same shape."""
    shape = tuple(x.shape[1:])
    if len(shape) == 3 and 3 in (shape[0], shape[2]):
        last = shape[2] == 3 and shape[0] != 3
        if last == first:
            yield "", (x.movedim(-1, 1) if last else x.movedim(1, -1)).reshape(x.shape)
    elif len(shape) == 1 and shape[0] % 3 == 0:
        for height, width in _sides(shape[0] // 3):
            if height == width:
                split = (height * width, 3) if first else (3, height * width)
                yield f" as {height} × {width} images", x.reshape(-1, *split).mT.reshape(x.shape)


def _reversed_colours(x: Tensor) -> Tensor:
    return x.flip(1) if x.shape[1] == 3 else x


def _negative(x: Tensor) -> Tensor | None:
    return 1 - x if _within(x, 0, 1) else None


def _centred(x: Tensor) -> Tensor | None:
    return 2 * x - 1 if _within(x, 0, 1) else None


def _from_zero(x: Tensor) -> Tensor | None:
    return (x + 1) / 2 if _within(x, -1, 1) and bool((x < 0).any()) else None


def _standardised(x: Tensor) -> Tensor | None:
    sd = x.std()
    return (x - x.mean()) / sd if sd > 0 else None


def _standardised_each(x: Tensor) -> Tensor | None:
    sd = x.std(0)
    return (x - x.mean(0)) / torch.where(sd > 0, sd, 1.0)


def _spread_out(x: Tensor) -> Tensor | None:
    low, high = x.min(), x.max()
    return (x - low) / (high - low) if high > low and not _within(x, 0, 1) else None


def _within(x: Tensor, low: float, high: float) -> bool:
    return bool(((x >= low) & (x <= high)).all())


CHANGES: tuple[Change, ...] = (
    Change("upside down", "order", _of_images(lambda x: x.flip(-2))),
    Change("mirrored", "order", _of_images(lambda x: x.flip(-1))),
    Change("with rows for columns", "order", _of_images(lambda x: x.mT, square=True)),
    Change("turned by 180°", "order", _of_images(lambda x: x.flip(-2, -1))),
    Change("turned by 90°", "order", _of_images(lambda x: x.rot90(1, (-2, -1)), square=True)),
    Change("turned by 270°", "order", _of_images(lambda x: x.rot90(-1, (-2, -1)), square=True)),
    Change("mirrored, with rows for columns", "order", _of_images(lambda x: x.mT.flip(-2, -1), square=True)),
    Change("with colours in reverse", "order", _of_images(_reversed_colours)),
    Change("with the colours of a pixel side by side", "order", lambda x: _colours(x, first=False)),
    Change("with one colour of all pixels after another", "order", lambda x: _colours(x, first=True)),
    Change("as 1 − x", "values", _of_values(_negative)),
    Change("as 2x − 1", "scale", _of_values(_centred)),
    Change("as (x + 1)/2", "scale", _of_values(_from_zero)),
    Change("as 255 x", "scale", _of_values(lambda x: 255 * x if _within(x, 0, 1) else None)),
    Change("as x/255", "scale", _of_values(lambda x: x / 255 if bool((x > _BYTES).any()) else None)),
    Change("standardised, (x − mean)/sd", "scale", _of_values(_standardised)),
    Change("standardised, each entry by itself", "scale", _of_values(_standardised_each)),
    Change("scaled to 0 … 1", "scale", _of_values(_spread_out)),
)
"""What is tried. A new one is a line here."""
