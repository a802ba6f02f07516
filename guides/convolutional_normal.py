"""The diagonal Normal of images: a convolutional encoder."""

from collections.abc import Sequence

from elbowroom.entrances import checked
from elbowroom.guides.normal import AmortizedNormal
from elbowroom.networks.mlp import DEFAULT_ACTIVATION


class ConvolutionalNormal(AmortizedNormal):
    """q(z|x) = N(m(x), diag s(x)²) with m and s from a convolutional encoder of images of any size.

    4×4 convolutions of stride 2 halve the image down to 4 to 7 pixels a side, without normalisation layers, and a
    linear layer says m and s (`elbowroom.networks.conv_encoder`).

    Args:
        data_dim: P = C·H·W; data are vectors `[B, P]` or images `[B, C, H, W]`.
        latent_dim: D.
        image_shape: (C, H, W), such as `model.image_shape` of a `ConvolutionalVAE`.
        hidden: channels of the encoder's maps, from the image on; by default doubled from 16 to 256 at most.
        activation, floor: as of `AmortizedNormal`.

    Raises:
        TypeError, ValueError: if an argument is out of range, or an image of that shape has not P values.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        image_shape: Sequence[int],
        hidden: tuple[int, ...] | None = None,
        *,
        activation: str = DEFAULT_ACTIVATION,
        floor: float = 1e-6,
    ) -> None:
        super().__init__(
            data_dim,
            latent_dim,
            hidden,
            activation=activation,
            floor=floor,
            network="convolution",
            image_shape=image_shape,
        )
