"""How does a state move on? Transitions p(z_t | z_{t−1}) of models of sequences: diagonal Normals, by name.

    z_t | z_{t−1} ~ N(m(z_{t−1}), diag s(z_{t−1})²)

Each is a module from z_{t−1} `[*batch, D]` to m and s `[*batch, D]`, and begins as a walk: m(z) = z but for what its
networks add.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from elbowroom.networks.mlp import ACTIVATIONS, DEFAULT_ACTIVATION, mlp

FLOOR = 1e-3
"""What s stays above, in units of the first state's standard deviation: without a limit a chain may become a function
of its first state, whose density is infinite."""

_START = 0.5
"""The s of a linear transition before training."""


class GatedTransition(nn.Module):
    """From a linear map to a network, each latent by its own gate.

        m = (1 − g) ⊙ (A z + b) + g ⊙ h,    g = sigmoid(MLP(z)),    h = MLP(z)
        s = floor + softplus(W act(h) + c)

    Krishnan, Shalit & Sontag (2017), "Structured inference networks for nonlinear state space models", section on deep
    Markov models, where softplus is the variance and act is ReLU. A starts as the identity and b as zero.

    Args:
        latent_dim: D.
        hidden: widths of the hidden layers of both networks.
        activation: theirs.
    """

    def __init__(
        self, latent_dim: int, hidden: tuple[int, ...] = (64,), *, activation: str = DEFAULT_ACTIVATION
    ) -> None:
        super().__init__()
        self.gate = mlp(latent_dim, hidden, latent_dim, activation=activation)
        self.proposal = mlp(latent_dim, hidden, latent_dim, activation=activation)
        self.linear = _identity(latent_dim)
        self.activation = ACTIVATIONS[activation]()
        self.spread = nn.Linear(latent_dim, latent_dim)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """m and s for z `[*batch, D]`."""
        proposal = self.proposal(z)
        mean = torch.lerp(self.linear(z), proposal, torch.sigmoid(self.gate(z)))
        return mean, FLOOR + functional.softplus(self.spread(self.activation(proposal)))


class LinearTransition(nn.Module):
    """m = A z + b, and one s for each latent, whatever z is: a linear dynamical system.

    A starts as the identity, b as zero, s as 0.5. It has no hidden layers: what is said of them is not looked at.

    Args:
        latent_dim: D.
    """

    def __init__(self, latent_dim: int, hidden: tuple[int, ...] = (), *, activation: str = DEFAULT_ACTIVATION) -> None:
        super().__init__()
        self.linear = _identity(latent_dim)
        self.log_above_floor = nn.Parameter(torch.full((latent_dim,), math.log(_START - FLOOR)))

    @property
    def std(self) -> Tensor:
        """s, `[D]`."""
        return FLOOR + self.log_above_floor.exp()

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """m and s for z `[*batch, D]`."""
        mean = self.linear(z)
        return mean, self.std.expand(mean.shape)


TRANSITIONS: dict[str, Callable[..., nn.Module]] = {"gated": GatedTransition, "linear": LinearTransition}
"""(latent_dim, hidden, *, activation) -> the transition."""


def _identity(size: int) -> nn.Linear:
    linear = nn.Linear(size, size)
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
