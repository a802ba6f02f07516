"""The Normal with a full covariance matrix from a neural encoder."""

from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_size
from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.guides.around_normal import AroundNormal
from elbowroom.networks.mlp import DEFAULT_ACTIVATION


class AmortizedFullNormal(AroundNormal):
    """q(z|x) = N(m(x), L(x) L(x)ᵀ), L = diag(s) (I + N) with N(x) strictly lower triangular: any covariance.

    m and s = floor + softplus(·), the diagonal of the Cholesky factor L, are those of an `AmortizedNormal`; the
    D (D − 1) / 2 numbers N are another network's. Where the posterior is Normal with correlation ρ between two latents,
    its room is zero where a diagonal Normal's is −½ log(1 − ρ²). `around` a trained guide of the digits, 80 epochs
    beneath the frozen model gained 0.067 nats of ELBO (95 %: 0.048 … 0.087), 0.022 (0.014 … 0.029) more than the guide
    itself in as many (`benchmarks/richer_guides.py`; the room was 0.596, of which 0.082 the family's).

    Args:
        data_dim: P, the number of values of a datum; data `[B, ...]` are flattened to `[B, P]`.
        latent_dim: D, the number of latent variables of a datum, 2 or more.
        hidden: the widths of the hidden layers of both networks, as of `AmortizedNormal`.
        around: a trained guide to begin from, of which `encode(x)` is a diagonal Normal: N is zero at first. Its
            parameters are copied.
        activation, floor, network, image_shape: as of `AmortizedNormal`.

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
        around: AmortizedGuide | None = None,
        activation: str = DEFAULT_ACTIVATION,
        floor: float = 1e-6,
        network: str = "mlp",
        image_shape: Sequence[int] | None = None,
    ) -> None:
        if check_size("latent_dim", latent_dim) == 1:
            raise ValueError("latent_dim: got 1, which has no correlations, expected 2 or more; use AmortizedNormal")
        super().__init__(
            data_dim,
            latent_dim,
            hidden,
            num_outputs=latent_dim * (latent_dim - 1) // 2,
            around=around,
            activation=activation,
            floor=floor,
            network=network,
            image_shape=image_shape,
        )

    def encode(self, x: Tensor) -> dist.TorchDistribution:
        """q(z|x) for data `x [B, P]` or `[B, ...]`: batch shape `[B]`, event shape `[D]`.

        Raises:
            TypeError, ValueError: as of `AmortizedNormal.encode`.
        """
        mean, std, below = self.beyond(x)
        rows, columns = torch.tril_indices(self.latent_dim, self.latent_dim, -1)
        factor = torch.diag_embed(torch.ones_like(std))  # [B, D, D]
        factor[:, rows, columns] = below
        return dist.MultivariateNormal(mean, scale_tril=std.unsqueeze(-1) * factor)
