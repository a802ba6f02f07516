"""What guides of hierarchies share: what they ask of a model, and the pass from x up through the layers."""

from itertools import pairwise
from typing import Any, Protocol

import pyro.distributions as dist
from torch import Tensor, nn

from elbowroom.entrances.values import check_module, check_sizes
from elbowroom.networks.mlp import ACTIVATIONS, mlp


class HasLayers(Protocol):
    """A model whose latents are layers z_1, …, z_L, each with a prior that depends on the one above."""

    data_dim: int
    latent_dims: tuple[int, ...]
    centred: bool

    def site(self, layer: int) -> str:
        """The name of the site of z_l, or of its noise, counted from 1."""

    def layer_prior(self, layer: int, above: Tensor | None) -> dist.TorchDistribution:
        """p(z_l | z_(l+1)), a diagonal Normal (`Normal(…).to_event(1)`); of layer L, which has none above."""


def check_layers(model: Any) -> None:
    """A model of layers.

    Raises:
        TypeError: if it is none.
    """
    if not callable(getattr(check_module("model", model), "layer_prior", None)):
        raise TypeError(
            f"model: got {type(model).__name__}, which has no method layer_prior(layer, above), expected a model with "
            "layers of latents such as HierarchicalVAE; for other models use AmortizedNormal"
        )


class UpwardPass(nn.Module):
    """What is read of x for each layer: h_1 = MLP(x), h_(l+1) = MLP(h_l), without any noise; h_l = x if `hidden` is ().

    Args:
        data_dim: P.
        hidden: widths of each MLP, the last of them that of h_l.
        num_layers: L.
        activation: a name in `ACTIVATIONS`, also after the last layer.
    """

    def __init__(self, data_dim: int, hidden: tuple[int, ...], num_layers: int, *, activation: str) -> None:
        super().__init__()
        widths = check_sizes("hidden", hidden)
        self.num_features = widths[-1] if widths else data_dim
        sizes = (data_dim, *(self.num_features,) * num_layers)
        self.steps = nn.ModuleList(
            nn.Sequential(mlp(num_inputs, widths[:-1], size, activation=activation), ACTIVATIONS[activation]())
            if widths
            else nn.Identity()
            for num_inputs, size in pairwise(sizes)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """h_1, …, h_L, each `[B, H]`, for data `[B, P]`."""
        features: list[Tensor] = []
        for step in self.steps:
            features.append(step(features[-1] if features else x))
        return tuple(features)
