"""The gap taken apart: how much of log p(x) − ELBO is the family's, how much the encoder's."""

from elbowroom.inference.gap.attribution import SiteAttribution, attribute_sites
from elbowroom.inference.gap.decompose import decompose
from elbowroom.inference.gap.encoder_change import (
    EncoderOverfitting,
    RetrainedGuide,
    encoder_overfitting,
    retrain_guide,
)
from elbowroom.inference.gap.refined import RefinedGuide
from elbowroom.inference.gap.result import Decomposition

__all__ = [
    "Decomposition",
    "EncoderOverfitting",
    "RefinedGuide",
    "RetrainedGuide",
    "SiteAttribution",
    "attribute_sites",
    "decompose",
    "encoder_overfitting",
    "retrain_guide",
]
