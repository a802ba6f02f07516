"""Convolutional encoders and decoders of images of any size, with leading dimensions of any number."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_choice, check_size, check_sizes
from elbowroom.networks.mlp import ACTIVATIONS, DEFAULT_ACTIVATION

ImageShape = tuple[int, int, int]
"""(C, H, W): channels, rows, columns."""

_NARROWEST, _WIDEST = 16, 256  # channels next to the image, and at most
_BASE = 4  # the larger side of the smallest map, or up to one less than twice that
_KERNEL = 4  # of stride 2: every pixel lies under as many windows, so none is favoured


class FoldedBatch(nn.Module):
    """Layers that take one batch dimension, for inputs `[*batch, N]` with any number of them: they run as one batch.

    So samples of every datum, `[S, B, D]`, go through a decoder in a single call, in an outer plate of samples.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: Tensor) -> Tensor:
        """The layers' outputs, `[*batch, M]`."""
        outputs = self.layers(inputs.reshape(-1, inputs.shape[-1]))
        return outputs.reshape(*inputs.shape[:-1], outputs.shape[-1])


@checked
def conv_encoder(
    image_shape: Sequence[int], hidden: tuple[int, ...], num_outputs: int, *, activation: str = DEFAULT_ACTIVATION
) -> FoldedBatch:
    """From images `[*batch, P]`, P = C·H·W, to `[*batch, num_outputs]`: convolutions that halve both sides, one Linear.

    For each width of `hidden` a 4×4 convolution of stride 2 makes a map of so many channels and of half the height and
    width, rounded down; every pixel of an odd side is seen, and a side of one pixel stays as it is. The last map goes
    through one linear layer. There are no normalisation layers: over a batch they would make one datum's terms depend
    on the others'. With `hidden=()` it is a linear map.

    Args:
        image_shape: (C, H, W).
        hidden: channels of the maps, from the image to the smallest; `conv_widths` has good ones.
        num_outputs: M.
        activation: after every map.

    Raises:
        TypeError, ValueError: if a size is out of range, the sides cannot be halved so often, or the
            activation is unknown.
    """
    shape, widths = check_image_shape("image_shape", image_shape), check_sizes("hidden", hidden)
    make_activation = ACTIVATIONS[check_choice("activation", activation, ACTIVATIONS)]
    steps, smallest = _halvings(shape, len(widths))
    channels = (shape[0], *widths)
    layers: list[nn.Module] = [nn.Unflatten(-1, shape)]
    for step, (before, after) in zip(steps, pairwise(channels), strict=True):
        layer = nn.Conv2d(before, after, step.kernel, step.stride, step.padding)
        layers += [_scaled(layer, before * math.prod(step.kernel)), make_activation()]
    last = nn.Linear(channels[-1] * math.prod(smallest), check_size("num_outputs", num_outputs))
    return FoldedBatch(*layers, nn.Flatten(), last)


@checked
def conv_decoder(
    num_inputs: int, hidden: tuple[int, ...], image_shape: Sequence[int], *, activation: str = DEFAULT_ACTIVATION
) -> FoldedBatch:
    """From `[*batch, num_inputs]` to images `[*batch, P]`, P = C·H·W: one Linear, transposed convolutions that double.

    The mirror image of `conv_encoder`: a linear layer makes the smallest map, of `hidden[0]` channels, and 4×4
    transposed convolutions of stride 2 the others, the last of them the image, each of exactly the size that the
    encoder's map has there. With `hidden=()` it is a linear map.

    Args:
        num_inputs: D.
        hidden: channels of the maps, from the smallest to the one before the image.
        image_shape: (C, H, W).
        activation: after every map but the image.

    Raises:
        TypeError, ValueError: as `conv_encoder`.
    """
    shape, widths = check_image_shape("image_shape", image_shape), check_sizes("hidden", hidden)
    make_activation = ACTIVATIONS[check_choice("activation", activation, ACTIVATIONS)]
    steps, smallest = _halvings(shape, len(widths))
    channels = (*widths, shape[0])
    base = (channels[0], *smallest)
    layers: list[nn.Module] = [nn.Linear(check_size("num_inputs", num_inputs), math.prod(base)), nn.Unflatten(-1, base)]
    for step, (before, after) in zip(reversed(steps), pairwise(channels), strict=True):
        layer = nn.ConvTranspose2d(before, after, step.kernel, step.stride, step.padding, step.rest)
        fan_in = before * math.prod(step.kernel) / math.prod(step.stride)
        layers += [make_activation(), _scaled(layer, fan_in)]
    return FoldedBatch(*layers, nn.Flatten())


@checked
def conv_widths(image_shape: Sequence[int]) -> tuple[int, ...]:
    """Channels of an encoder's maps, 16, 32, … up to 256: images are halved to a larger side of 4 to 7 pixels.

    A decoder's are the same in reverse. Images too small for that are halved once.

    Raises:
        ValueError: if the image is a single pixel: there is nothing to convolve.
    """
    shape = check_image_shape("image_shape", image_shape)
    side = max(shape[1:])
    if side == 1:
        raise ValueError(f"image_shape: got {shape}, a single pixel; for data without neighbours use network='mlp'")
    num_halvings = max(1, int(math.log2(side / _BASE)))
    return tuple(min(_NARROWEST * 2**i, _WIDEST) for i in range(num_halvings))


def check_image_shape(name: str, value: Any, num_values: int | None = None) -> ImageShape:
    """`value` as (C, H, W), three positive integers, of `num_values` values in all if that is given.

    Raises:
        TypeError, ValueError: naming what was got and what fits.
    """
    shape = check_sizes(name, value)
    if len(shape) != 3:
        raise ValueError(f"{name}: got {shape}, expected (channels, height, width) such as (1, 28, 28)")
    if num_values is not None and math.prod(shape) != num_values:
        raise ValueError(
            f"{name}: got {shape}, which has {math.prod(shape)} values, but a datum has {num_values}; expected "
            "(channels, height, width) with that product"
        )
    return (shape[0], shape[1], shape[2])


def image_shape_of(num_values: int, image_shape: Any = None) -> ImageShape:
    """The shape that was given, or (1, √P, √P).

    Raises:
        TypeError, ValueError: if it does not have P values, or none was given and P is no square.
    """
    if image_shape is not None:
        return check_image_shape("image_shape", image_shape, num_values)
    side = math.isqrt(num_values)
    if side**2 != num_values:
        raise ValueError(
            f"image_shape: got None, but {num_values} values are no square grey image; expected (channels, height, "
            f"width) with the product {num_values}"
        )
    return (1, side, side)


class _Halving(NamedTuple):
    """A convolution of stride 2 along the sides that are longer than one pixel.

    Attributes:
        rest: what twice the halved sides fall short of the sides.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    rest: tuple[int, int]


def _halvings(shape: ImageShape, number: int) -> tuple[list[_Halving], tuple[int, int]]:
    """So many halvings, from the image on, and the sides of the smallest map.

    Raises:
        ValueError: if there is a single pixel before the last of them.
    """
    height, width = shape[1:]
    most = max(height, width).bit_length() - 1
    if number > most:
        raise ValueError(
            f"hidden: got {number} widths, each of which halves an image of {height} × {width} pixels; expected at "
            f"most {most}, or an image whose larger side is at least {2**number}"
        )
    steps = []
    for _ in range(number):
        halved = (height > 1, width > 1)
        steps.append(
            _Halving(
                kernel=_where(halved, _KERNEL, 1),
                stride=_where(halved, 2, 1),
                padding=_where(halved, 1, 0),
                rest=(height % 2 if halved[0] else 0, width % 2 if halved[1] else 0),
            )
        )
        height, width = max(1, height // 2), max(1, width // 2)
    return steps, (height, width)


def _where(halved: tuple[bool, bool], then: int, otherwise: int) -> tuple[int, int]:
    return (then if halved[0] else otherwise, then if halved[1] else otherwise)


def _scaled(layer: nn.Conv2d | nn.ConvTranspose2d, fan_in: float) -> nn.Module:
    """The layer with weights N(0, 2/fan_in) and no bias to begin with (He et al. 2015, eq. 10).

    `fan_in` is how many inputs an output is a sum of. Torch's own start shrinks what passes by half or more in each
    layer: a 256 × 256 image's logits would have a spread of 6e-5 over z, against 0.07 so.
    """
    with torch.no_grad():
        layer.weight.normal_(0.0, math.sqrt(2 / fan_in))
        if layer.bias is not None:
            layer.bias.zero_()
    return layer
