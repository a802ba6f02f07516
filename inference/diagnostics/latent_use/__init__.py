"""What a model does with its latents: activity, information, collapse."""

from elbowroom.inference.diagnostics.latent_use.result import LatentUse
from elbowroom.inference.diagnostics.latent_use.use import latent_use

__all__ = ["LatentUse", "latent_use"]
