"""What a model does with its latents: activity, information, collapse."""

from elbowroom.inference.latent_use.result import LatentUse

__all__ = ["LatentUse"]
