"""The diagonal Normal of latents given data and their context."""

import pyro
import pyro.distributions as dist
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_at_least, check_size
from elbowroom.networks.checks import check_batch, check_width, reference_tensor
from elbowroom.networks.context import beside, check_context
from elbowroom.networks.mlp import DEFAULT_ACTIVATION
from elbowroom.networks.program import Program
from elbowroom.networks.registry import make_encoder


class ConditionalNormal(Program):
    """q(z|x, c) = N(m(x, c), diag s(x, c)²) with m and s from two heads of a network of x and the context c.

    Calling it with the model's data and contexts runs the program with the site `"z"` in the plate `"data"`.

    Args:
        data_dim: P, the number of values of a datum; data `[B, ...]` are flattened to `[B, P]`.
        latent_dim: D, the number of latent variables of a datum.
        context_dim: C, the length of a context's vector; of class labels, which are read as one-hot, their number.
        hidden: the widths of the encoder's hidden layers, from x and c to z, by default (64, 64).
        activation: `"silu"`, `"gelu"`, `"tanh"`, `"softplus"`, `"elu"` or `"relu"`.
        floor: what s stays above, as of `AmortizedNormal`.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    @checked
    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        context_dim: int,
        hidden: tuple[int, ...] | None = None,
        *,
        activation: str = DEFAULT_ACTIVATION,
        floor: float = 1e-6,
    ) -> None:
        super().__init__()
        self.data_dim = check_size("data_dim", data_dim)
        self.latent_dim = check_size("latent_dim", latent_dim)
        self.context_dim = check_size("context_dim", context_dim)
        self.floor = check_at_least("floor", floor, 0)
        self.encoder = make_encoder(
            "mlp", self.data_dim + self.context_dim, hidden, self.latent_dim, activation=activation
        )

    def encode(self, x: Tensor, context: Tensor) -> dist.TorchDistribution:
        """q(z|x, c) for data `x [B, P]` or `[B, ...]` and their contexts: batch shape `[B]`, event shape `[D]`.

        Raises:
            TypeError, ValueError: if x or the context has another shape or dtype, or a label is out of range.
        """
        x = check_width(check_batch(x, reference_tensor(self)), self.data_dim, says="the guide's data_dim")
        mean, std = self.encoder(beside(x, check_context(context, self.context_dim, x)))
        return dist.Normal(mean, self.floor + std).to_event(1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Runs the program on data `x [B, ...]` and contexts `[B, C]`, or labels `[B]` of an integer dtype.

        Returns:
            z: the latents of this run, `[B, D]` or, under a plate of samples, `[S, B, D]`.
        """
        q_z = self.encode(x, context)
        with pyro.plate("data", len(x), dim=-1):
            z: Tensor = pyro.sample("z", q_z)
        return z
