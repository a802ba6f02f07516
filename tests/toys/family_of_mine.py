"""A family as models/ would hold it: a file with one class, known by one line of the registry."""

import torch
from torch import Tensor, nn

from elbowroom.models.latent_model import LatentModel
from elbowroom.models.likelihoods.bernoulli import BernoulliVector


class Periodic(LatentModel):
    """x_p = 1 with log odds a sin(⟨w_p, z⟩): a decoder of one sine for each value."""

    def __init__(self, data_dim: int, latent_dim: int, *, amplitude: float = 3.0) -> None:
        super().__init__(latent_dim)
        self.amplitude = amplitude
        self.weight = nn.Parameter(torch.randn(data_dim, latent_dim))

    def decode(self, z: Tensor) -> BernoulliVector:
        return BernoulliVector(self.amplitude * torch.sin(z @ self.weight.T))
