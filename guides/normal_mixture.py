"""The mixture of diagonal Normals from a neural encoder."""

import math
from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_size
from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.guides.around_normal import AroundNormal
from elbowroom.guides.mixture_of_normals import MixtureOfNormals
from elbowroom.networks.mlp import DEFAULT_ACTIVATION

_WIDEST = math.log(100.0)


class AmortizedMixture(AroundNormal):
    """q(z|x) = Σ_k π_k(x) N(m + s d_k(x), diag(s exp(g_k(x)))²), K diagonal Normals: more modes than one.

    m and s are those of an `AmortizedNormal`; the shares π, the shifts d and the widths g, which stays within
    ± log 100, are another network's. Draws have gradients, see `mixture_of_normals.py`. Where posteriors
    have one mode there is little in it: of the digits, 0.005 nats of ELBO more than the diagonal Normal (95 %: −0.010 …
    0.020, `benchmarks/richer_guides.py`).

    Args:
        data_dim: P, the number of values of a datum; data `[B, ...]` are flattened to `[B, P]`.
        latent_dim: D, the number of latent variables of a datum.
        hidden: the widths of the hidden layers of both networks, as of `AmortizedNormal`.
        num_components: K, 2 or more.
        around: a trained guide to begin from, of which `encode(x)` is a diagonal Normal: all components are nearly
            that one at first, and not quite, or they would stay alike. Its parameters are copied.
        activation, floor, network, image_shape: as of `AmortizedNormal`; the floor is that of s.

    Raises:
        TypeError, ValueError: if an argument is out of range.
    """

    at_first = 1e-2

    @checked
    def __init__(
        self,
        data_dim: int,
        latent_dim: int,
        hidden: tuple[int, ...] | None = None,
        *,
        num_components: int = 4,
        around: AmortizedGuide | None = None,
        activation: str = DEFAULT_ACTIVATION,
        floor: float = 1e-6,
        network: str = "mlp",
        image_shape: Sequence[int] | None = None,
    ) -> None:
        if check_size("num_components", num_components) == 1:
            raise ValueError("num_components: got 1, expected 2 or more; use AmortizedNormal")
        super().__init__(
            data_dim,
            latent_dim,
            hidden,
            num_outputs=num_components * (1 + 2 * latent_dim),
            around=around,
            activation=activation,
            floor=floor,
            network=network,
            image_shape=image_shape,
        )
        self.num_components = num_components

    def encode(self, x: Tensor) -> dist.TorchDistribution:
        """q(z|x) for data `x [B, P]` or `[B, ...]`: batch shape `[B]`, event shape `[D]`.

        Raises:
            TypeError, ValueError: as of `AmortizedNormal.encode`.
        """
        mean, std, h = self.beyond(x)
        mean, std, sizes = mean.unsqueeze(-2), std.unsqueeze(-2), (1, self.latent_dim, self.latent_dim)
        shares, shifts, widths = h.unflatten(-1, (self.num_components, -1)).split(sizes, -1)  # [B, K, 1 or D]
        parts = dist.Normal(mean + std * shifts, std * _within(widths, _WIDEST).exp()).to_event(1)
        return MixtureOfNormals(dist.Categorical(logits=shares.squeeze(-1)), parts)


def _within(value: Tensor, bound: float) -> Tensor:
    """`value` where it is small, never beyond ± `bound`."""
    return bound * torch.tanh(value / bound)
