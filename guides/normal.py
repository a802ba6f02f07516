"""The diagonal Normal with a neural encoder."""

from collections.abc import Sequence

import pyro.distributions as dist
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_at_least, check_choice, check_size
from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.networks.checks import check_batch, check_width, reference_tensor
from elbowroom.networks.inputs import INPUTS
from elbowroom.networks.mlp import DEFAULT_ACTIVATION
from elbowroom.networks.registry import make_encoder


class AmortizedNormal(AmortizedGuide):
    """q(z|x) = N(m(x), diag s(x)²) with m and s = floor + softplus(·) from two heads of a network.

    Args:
        data_dim: P, the number of values of a datum; data `[B, ...]` are flattened to `[B, P]`.
        latent_dim: D, the number of latent variables of a datum.
        hidden: the widths of the encoder's hidden layers, from x to z, of a convolutional one the channels of its maps;
            by default (64, 64), and for convolutions `networks.conv_widths` of the image. `()` makes both heads linear.
        activation: `"silu"`, `"gelu"`, `"tanh"`, `"softplus"`, `"elu"` or `"relu"`.
        floor: what s stays above, in units of the prior's standard deviation; 0 for none. It is there so that
            softplus cannot underflow to a q without spread: a posterior as narrow as 1e-6 holds 13 nats a latent.
        network: `"mlp"`, `"residual"` or `"convolution"`.
        image_shape: (C, H, W) of a datum, P values in all, for a network that sees images; by default a square grey
            one.
        inputs: what the network is given: `"raw"`, the data as they are, or `"log1p"`, log(1 + x) of counts.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        hidden: tuple[int, ...] | None = None,
        *,
        activation: str = DEFAULT_ACTIVATION,
        floor: float = 1e-6,
        network: str = "mlp",
        image_shape: Sequence[int] | None = None,
        inputs: str = "raw",
    ) -> None:
        super().__init__()
        self.data_dim = check_size("data_dim", data_dim)
        self.latent_dim = check_size("latent_dim", latent_dim)
        self.floor = check_at_least("floor", floor, 0)
        self.inputs = check_choice("inputs", inputs, INPUTS)
        self.encoder = make_encoder(
            network, self.data_dim, hidden, self.latent_dim, activation=activation, image_shape=image_shape
        )

    def encode(self, x: Tensor) -> dist.TorchDistribution:
        """q(z|x) for data `x [B, P]` or `[B, ...]`: batch shape `[B]`, event shape `[D]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype.
            ValueError: if x has no batch dimension, no data, or not P values per datum, or they are no counts where
                `inputs` says so.
        """
        encoder = self.encoder
        x = check_batch(x, reference_tensor(encoder))
        mean, std = encoder(INPUTS[self.inputs](check_width(x, self.data_dim, says="the guide's data_dim")))
        return dist.Normal(mean, self.floor + std).to_event(1)
