"""p(z|c): what is assumed of z once a context c is known."""

from collections.abc import Callable

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.models.priors.standard_normal import standard_normal
from elbowroom.networks.mlp import MeanStd

FLOOR = 1e-6
"""What s(c) stays above, as of the guides: softplus cannot underflow to a prior without spread."""


class LearnedNormal(nn.Module):
    """p(z|c) = N(m(c), diag s(c)²), m and s = 1e-6 + softplus(·) from two heads of a perceptron.

    Args:
        context_dim: C.
        latent_dim: D.
        hidden: widths of the perceptron's hidden layers.
        activation: a name in `ACTIVATIONS`.
    """

    def __init__(self, context_dim: int, latent_dim: int, hidden: tuple[int, ...], activation: str) -> None:
        super().__init__()
        self.network = MeanStd(context_dim, hidden, latent_dim, activation=activation)

    def forward(self, context: Tensor) -> dist.TorchDistribution:
        """p(z|c) for contexts `[*batch, C]`: batch shape `[*batch]`, event shape `[D]`."""
        mean, std = self.network(context)
        return dist.Normal(mean, FLOOR + std).to_event(1)


class StandardNormal(nn.Module):
    """p(z|c) = N(0, I_D), whatever the context; arguments as of `LearnedNormal`."""

    def __init__(self, context_dim: int, latent_dim: int, hidden: tuple[int, ...], activation: str) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(latent_dim), persistent=False)
        self.register_buffer("scale", torch.ones(latent_dim), persistent=False)

    def forward(self, context: Tensor) -> dist.TorchDistribution:
        """p(z): batch shape `[]`, event shape `[D]`."""
        return standard_normal(self.get_buffer("loc"), self.get_buffer("scale"))


CONDITIONAL_PRIORS: dict[str, Callable[[int, int, tuple[int, ...], str], nn.Module]] = {
    "learned": LearnedNormal,
    "standard": StandardNormal,
}
"""Name -> (context_dim, latent_dim, hidden, activation) -> a module from contexts `[*batch, C]` to p(z|c)."""
