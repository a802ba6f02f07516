"""Does q agree with the posterior, and which uses of it survive?"""

from elbowroom.inference.agreement.agreement import agreement
from elbowroom.inference.agreement.result import Agreement
from elbowroom.inference.agreement.uses import Limits

__all__ = ["Agreement", "Limits", "agreement"]
