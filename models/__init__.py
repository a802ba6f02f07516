"""Generative models p(z) p(x|z) as Pyro programs."""

from elbowroom.models.adapter import from_decoder
from elbowroom.models.decoder_model import DecoderModel
from elbowroom.models.latent_model import Generated, LatentModel
from elbowroom.models.linear_gaussian import PPCA, FactorAnalysis
from elbowroom.models.vae import VAE

__all__ = [
    "PPCA",
    "VAE",
    "DecoderModel",
    "FactorAnalysis",
    "Generated",
    "LatentModel",
    "from_decoder",
]
