"""The networks by name, each as an encoder and as a decoder, and the heads by what is said of a distribution."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Self

from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_choice, check_size
from elbowroom.networks.convolution import (
    ImageShape,
    check_image_shape,
    conv_decoder,
    conv_encoder,
    conv_widths,
    image_shape_of,
)
from elbowroom.networks.mlp import DEFAULT_ACTIVATION, MeanStd, Pair, mlp
from elbowroom.networks.residual import residual_mlp

Hidden = tuple[int, ...] | None
"""Widths of hidden layers, from a network's inputs to its outputs; `None` for what suits the network."""

Make = Callable[..., nn.Module]
"""(num_inputs, hidden, num_outputs, *, activation, data: Data) -> a network of vectors `[*batch, ...]`."""

HIDDEN = (64, 64)
"""Of perceptrons, where nothing else is asked for."""


class Data(NamedTuple):
    """What a datum is, for networks that look at it.

    Attributes:
        size: P, how many values it has.
        image_shape: (C, H, W), if that was said.
        per_value: K, how many numbers of each tensor a decoder says of each value: for logits of K levels, K of them
            side by side, `[*batch, P·K]`.
    """

    size: int
    image_shape: Any = None
    per_value: int = 1

    def checked(self) -> Self:
        """These, if the shape has P values, whatever network is told."""
        if self.image_shape is not None:
            check_image_shape("image_shape", self.image_shape, check_size("data_dim", self.size))
        return self

    @property
    def shape(self) -> ImageShape:
        """(C, H, W), by default (1, √P, √P)."""
        return image_shape_of(self.size, self.image_shape)


@checked
def make_encoder(
    network: str,
    data_dim: int,
    hidden: Hidden,
    num_outputs: int,
    *,
    output: str = "mean_std",
    activation: str = DEFAULT_ACTIVATION,
    image_shape: Any = None,
) -> nn.Module:
    """From data `[*batch, P]` to what `output` says of a distribution of `num_outputs` numbers.

    Args:
        network: a name in `ENCODERS`.
        data_dim: P.
        hidden: widths from x to z; by default what suits the network.
        num_outputs: of each tensor that is returned.
        output: a name in `HEADS`.
        activation: a name in `ACTIVATIONS`.
        image_shape: (C, H, W) of a datum, for networks that see images; by default a square grey one.

    Raises:
        TypeError, ValueError: if an argument is unknown or out of range.
    """
    make = ENCODERS[check_choice("network", network, ENCODERS)]
    make, head = partial(make, data=Data(data_dim, image_shape).checked()), HEADS[check_choice("output", output, HEADS)]
    return head(data_dim, hidden, num_outputs, activation=activation, make=make)


@checked
def make_decoder(
    network: str,
    latent_dim: int,
    hidden: Hidden,
    data_dim: int,
    *,
    output: str,
    per_value: int = 1,
    activation: str = DEFAULT_ACTIVATION,
    image_shape: Any = None,
) -> nn.Module:
    """From latents `[*batch, D]` to what `output` says of a distribution of data `[*batch, P]`.

    Args:
        network: a name in `DECODERS`.
        latent_dim: D.
        hidden: widths from z to x.
        data_dim: P.
        per_value: K, how many numbers each tensor that is returned holds of each value, side by side: `[*batch, P·K]`.
        output, activation, image_shape: as of `make_encoder`.

    Raises:
        TypeError, ValueError: if an argument is unknown or out of range.
    """
    make = DECODERS[check_choice("network", network, DECODERS)]
    data = Data(data_dim, image_shape, check_size("per_value", per_value)).checked()
    make, head = partial(make, data=data), HEADS[check_choice("output", output, HEADS)]
    return head(latent_dim, hidden, data_dim * per_value, activation=activation, make=make)


def _perceptron(make: Make) -> Make:
    """A network that does not look at what a datum is."""

    def perceptron(num_inputs: int, hidden: Hidden, num_outputs: int, *, activation: str, data: Data) -> nn.Module:
        return make(num_inputs, HIDDEN if hidden is None else hidden, num_outputs, activation=activation)

    return perceptron


def _conv_encoder(num_inputs: int, hidden: Hidden, num_outputs: int, *, activation: str, data: Data) -> nn.Module:
    widths = conv_widths(data.shape) if hidden is None else hidden
    return conv_encoder(data.shape, widths, num_outputs, activation=activation)


def _conv_decoder(num_inputs: int, hidden: Hidden, num_outputs: int, *, activation: str, data: Data) -> nn.Module:
    """All numbers that are said of a pixel are channels there: of each head, of each of its K."""
    channels, height, width = data.shape
    widths = conv_widths(data.shape)[::-1] if hidden is None else hidden
    image = (num_outputs // data.size * channels, height, width)
    decoder = conv_decoder(num_inputs, widths, image, activation=activation)
    if data.per_value == 1:
        return decoder
    return nn.Sequential(decoder, ChannelsLast(data.per_value, height * width))


class ChannelsLast(nn.Module):
    """From `[*batch, M·K·N]` to `[*batch, M·N·K]`: K channels of N pixels become K numbers of each pixel."""

    def __init__(self, num_channels: int, num_pixels: int) -> None:
        super().__init__()
        self.num_channels, self.num_pixels = num_channels, num_pixels

    def forward(self, inputs: Tensor) -> Tensor:
        """The same numbers in the other order."""
        return inputs.unflatten(-1, (-1, self.num_channels, self.num_pixels)).transpose(-1, -2).flatten(-3)


def _one(num_inputs: int, hidden: Hidden, num_outputs: int, *, activation: str, make: Make) -> nn.Module:
    return make(num_inputs, hidden, num_outputs, activation=activation)


ENCODERS: dict[str, Make] = {
    "mlp": _perceptron(mlp),
    "residual": _perceptron(residual_mlp),
    "convolution": _conv_encoder,
}
"""Name -> how a network from data to the outputs of q(z|x) is made."""

DECODERS: dict[str, Make] = {
    "mlp": _perceptron(mlp),
    "residual": _perceptron(residual_mlp),
    "convolution": _conv_decoder,
}
"""Name -> how a network from latents to the outputs of p(x|z) is made."""

HEADS: dict[str, Make] = {
    "logits": _one,
    "mean": _one,
    "mean_std": MeanStd,
    "mean_log_scale": Pair,
    "log_rate": _one,
    "log_mean": _one,
    "log_mean_gate": Pair,
    "log_concentrations": Pair,
}
"""By what a network says (`outputs.py`): (num_inputs, hidden, num_outputs, *, activation, make) -> the network."""
