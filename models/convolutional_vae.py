"""The VAE of images: a convolutional decoder."""

from collections.abc import Mapping, Sequence
from typing import Any

from elbowroom.entrances import checked
from elbowroom.models.vae import VAE
from elbowroom.networks.convolution import image_shape_of
from elbowroom.networks.mlp import DEFAULT_ACTIVATION


class ConvolutionalVAE(VAE):
    """z ~ N(0, I_D), x | z ~ likelihood(convolutional decoder(z)): a VAE for images of any size.

    A linear layer makes a map of 4 to 7 pixels a side, and 4×4 transposed convolutions of stride 2 double it up to the
    image, without normalisation layers (`elbowroom.networks.conv_decoder`; Radford et al. 2016 with batch normalisation
    left out, which makes a datum's terms depend on its company). Its guide is
    `ConvolutionalNormal(data_dim, latent_dim, model.image_shape)`. Trained in fifteen lines:

        from elbowroom.datasets import KINDS, load
        from elbowroom.guides import ConvolutionalNormal
        from elbowroom.inference import Target, fit, quadrature
        from elbowroom.models import ConvolutionalVAE

        data = load("digits", binarize="threshold")
        (train,), (test,) = (KINDS["image"].arguments(data, split) for split in ("train", "test"))  # [B, 1, 8, 8]
        model = ConvolutionalVAE(data_dim=64, latent_dim=2)
        guide = ConvolutionalNormal(data_dim=64, latent_dim=2, image_shape=model.image_shape)
        fit(model, guide, train, num_epochs=60, batch_size=64, learning_rate=3e-3, schedule="cosine")
        print(quadrature(Target(model, guide, test)))  # log p(x) of each image

    Args:
        data_dim: P = C·H·W; data are vectors `[B, P]` or images `[B, C, H, W]`.
        latent_dim: D.
        hidden: channels of the decoder's maps, from the smallest on; by default halved from 256 at most to 16.
        likelihood, sigma, floor, likelihood_options, activation: as of `VAE`.
        image_shape: (C, H, W); by default (1, √P, √P).

    Raises:
        TypeError, ValueError: if an argument is out of range or has no meaning for the likelihood, or no image has
            such a shape.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        hidden: tuple[int, ...] | None = None,
        likelihood: str = "bernoulli",
        *,
        sigma: float | None = None,
        floor: float | None = None,
        likelihood_options: Mapping[str, Any] | None = None,
        activation: str = DEFAULT_ACTIVATION,
        image_shape: Sequence[int] | None = None,
    ) -> None:
        super().__init__(
            data_dim,
            latent_dim,
            hidden,
            likelihood,
            sigma=sigma,
            floor=floor,
            likelihood_options=likelihood_options,
            activation=activation,
            network="convolution",
            image_shape=image_shape_of(data_dim, image_shape),
        )
