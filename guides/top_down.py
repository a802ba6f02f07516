"""The guide of hierarchies that draws in the model's order: each layer given x and the one above, next to its prior."""

from typing import NamedTuple

import pyro
import pyro.distributions as dist
from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_at_least
from elbowroom.guides.layers import HasLayers, UpwardPass, check_layers
from elbowroom.networks.checks import check_batch, check_width, reference_tensor
from elbowroom.networks.context import beside
from elbowroom.networks.mlp import DEFAULT_ACTIVATION, MeanStd
from elbowroom.networks.program import Program
from elbowroom.networks.registry import HIDDEN


class Moments(NamedTuple):
    """Mean and standard deviation of a diagonal Normal, `[*batch, D]` each."""

    mean: Tensor
    std: Tensor


class TopDown(Program):
    """q(z_l | z_(l+1), x) = N(m_l + s_l Δm, (s_l Δs)²), m_l and s_l those of p(z_l | z_(l+1)): a step from the prior.

        h_1, …, h_L: a deterministic pass from x up;    Δm, Δs = floor + softplus(·) from a network of h_l and z_(l+1)

    the residual Normals of Vahdat & Kautz (2020), "NVAE: a deep hierarchical variational autoencoder", section 3.2. In
    units of the layer's prior: it is q(e_l) = N(Δm, Δs²) of the noise e_l = (z_l − m_l) / s_l, so that its ELBO is the
    same whether the model is centred or not.

    Calling it with data `x [B, P]` runs the program with the model's sites, `"eL"` … `"e1"` or, of a centred one,
    `"zL"` … `"z1"`, in the plate `"data"`. The pass runs once for each datum, whatever the number of samples.

    Args:
        model: a `HierarchicalVAE`. It is read, not owned: its parameters are not the guide's.
        hidden: widths of the hidden layers of each step of the pass, by default (64, 64); the last of them is also the
            width of the network of h_l and z_(l+1), which has one hidden layer. `()` makes all of it linear in x and z.
        activation: `"silu"`, `"gelu"`, `"tanh"`, `"softplus"`, `"elu"` or `"relu"`.
        floor: what Δs stays above, as of `AmortizedNormal`.

    Raises:
        TypeError: if the model has no layers.
        ValueError: if an argument is out of range.
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
        self._model = (model,)  # in a tuple, so that the model's parameters do not become the guide's
        self.data_dim, self.latent_dims = model.data_dim, model.latent_dims
        self.floor = check_at_least("floor", floor, 0)
        widths = HIDDEN if hidden is None else hidden
        self.upward = UpwardPass(self.data_dim, widths, len(self.latent_dims), activation=activation)
        self.heads = nn.ModuleList(self._heads(widths, activation))

    @property
    def model(self) -> HasLayers:
        """The model whose posterior this approximates."""
        return self._model[0]

    def forward(self, x: Tensor, *given: Tensor) -> Tensor:
        """Runs the program on data `x [B, ...]`.

        Args:
            x: data.
            *given: what else the model is given, such as the data's sizes; the guide does without.

        Returns:
            z_1 of this run, `[B, D_1]` or, under a plate of samples, `[S, B, D_1]`.

        Raises:
            TypeError: if x is no tensor or not of the parameters' dtype.
            ValueError: if x has no batch dimension, no data, or not P values per datum.
        """
        x = check_width(check_batch(x, reference_tensor(self)), self.data_dim, says="the model's data_dim")
        features, z = self.upward(x), list[Tensor]()
        with pyro.plate("data", len(x), dim=-1):
            for layer in range(len(self.latent_dims), 0, -1):
                above = z[-1] if z else None
                p_z = self.model.layer_prior(layer, above).base_dist
                prior = Moments(p_z.loc, p_z.scale)
                z.append(self._sampled(layer, prior, self._noise(layer, features[layer - 1], above, prior)))
        return z[-1]

    def _sampled(self, layer: int, prior: Moments, noise: Moments) -> Tensor:
        """z_l, drawn as the model has it: by itself, or by way of its noise."""
        mean, std = noise
        if self.model.centred:
            mean, std = prior.mean + prior.std * mean, prior.std * std
        value: Tensor = pyro.sample(self.model.site(layer), dist.Normal(mean, std).to_event(1))
        return value if self.model.centred else prior.mean + prior.std * value

    def _heads(self, hidden: tuple[int, ...], activation: str) -> list[nn.Module]:
        """For each layer what reads h_l, and z_(l+1) beside it."""
        above = (*self.latent_dims[1:], 0)
        return [
            MeanStd(self.upward.num_features + num_above, hidden[-1:] if num_above else (), size, activation=activation)
            for size, num_above in zip(self.latent_dims, above, strict=True)
        ]

    def _noise(self, layer: int, features: Tensor, above: Tensor | None, prior: Moments) -> Moments:
        """q of the noise e_l = (z_l − m_l) / s_l, from h_l `[B, H]` and z_(l+1) `[*batch, D_(l+1)]`."""
        mean, std = self.heads[layer - 1](features if above is None else beside(above, features))
        return Moments(mean, self.floor + std)
