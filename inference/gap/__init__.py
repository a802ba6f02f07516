"""The gap taken apart: how much of log p(x) − ELBO is the family's, how much the encoder's."""

from elbowroom.inference.gap.decompose import decompose
from elbowroom.inference.gap.refined import RefinedGuide
from elbowroom.inference.gap.result import Decomposition

__all__ = ["Decomposition", "RefinedGuide", "decompose"]
