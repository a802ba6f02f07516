"""The guide of hierarchies that goes from x up: the layer next to x first, each other one from the one below."""

from itertools import pairwise

import pyro
import pyro.distributions as dist
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_at_least
from elbowroom.guides.layers import HasLayers, check_layers
from elbowroom.networks.checks import check_batch, check_width, reference_tensor
from elbowroom.networks.mlp import DEFAULT_ACTIVATION, MeanStd
from elbowroom.networks.program import Program
from elbowroom.networks.registry import HIDDEN, make_encoder


class BottomUp(Program):
    """q(z_1 | x) ∏_l q(z_(l+1) | z_l), each a diagonal Normal with m and s = floor + softplus(·) from a network.

    The recognition model of Rezende, Mohamed & Wierstra (2014) and of Burda, Grosse & Salakhutdinov (2016) with several
    layers: it runs against the order in which the model draws. What z_1 does not tell of x the layers above do not see,
    as in the model: the posterior of z_2, …, z_L given z_1 does not depend on x.

    Calling it with data `x [B, P]` runs the program with the sites `"z1"` … `"zL"` in the plate `"data"`.

    Args:
        model: a `HierarchicalVAE` with `centred=True`. It is read, not owned: its parameters are not the guide's.
        hidden: widths of the hidden layers of each network, by default (64, 64).
        activation: `"silu"`, `"gelu"`, `"tanh"`, `"softplus"`, `"elu"` or `"relu"`.
        floor: what s stays above, as of `AmortizedNormal`.

    Raises:
        TypeError: if the model has no layers.
        ValueError: if the model is not centred, or an argument out of range.
    """

    @checked
    def __init__(
        self,
        model: HasLayers,
        hidden: tuple[int, ...] | None = None,
        *,
        activation: str = DEFAULT_ACTIVATION,
        floor: float = 1e-6,
    ) -> None:
        super().__init__()
        check_layers(model)
        if not model.centred:
            raise ValueError(
                "model: got a hierarchy whose sites are the noise of its layers, expected one built with centred=True: "
                "the noise of a layer depends on the layer above, which this guide draws after it; or take TopDown"
            )
        self.data_dim, self.latent_dims = model.data_dim, model.latent_dims
        self.floor = check_at_least("floor", floor, 0)
        self.encoder = make_encoder("mlp", self.data_dim, hidden, self.latent_dims[0], activation=activation)
        widths = HIDDEN if hidden is None else hidden
        self.upward = nn.ModuleList(
            MeanStd(below, widths, size, activation=activation) for below, size in pairwise(self.latent_dims)
        )

    def encode(self, x: Tensor) -> dist.TorchDistribution:
        """q(z_1 | x) for data `x [B, P]` or `[B, ...]`: batch shape `[B]`, event shape `[D_1]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype.
            ValueError: if x has no batch dimension, no data, or not P values per datum.
        """
        x = check_width(check_batch(x, reference_tensor(self)), self.data_dim, says="the model's data_dim")
        return self._normal(self.encoder, x)

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Runs the program on data `x [B, ...]`.

        Args:
            x: data.
            *given: what else the model is given, such as the data's sizes; the encoder does without.

        Returns:
            z_1 of this run, `[B, D_1]` or, under a plate of samples, `[S, B, D_1]`.
        """
        q_z = self.encode(x)
        with pyro.plate("data", len(x), dim=-1):
            first = z = pyro.sample("z1", q_z)
            for layer, network in enumerate(self.upward, start=2):
                z = pyro.sample(f"z{layer}", self._normal(network, z))
        return first

    def _normal(self, network: nn.Module, inputs: Tensor) -> dist.TorchDistribution:
        mean, std = network(inputs)
        return dist.Normal(mean, self.floor + std).to_event(1)
