"""Amortized guides q(z|x) as Pyro programs."""

from elbowroom.guides.adapter import EncoderGuide, from_encoder
from elbowroom.guides.amortized import AmortizedGuide
from elbowroom.guides.exact import ExactPosterior
from elbowroom.guides.normal import AmortizedNormal

__all__ = ["AmortizedGuide", "AmortizedNormal", "EncoderGuide", "ExactPosterior", "from_encoder"]
