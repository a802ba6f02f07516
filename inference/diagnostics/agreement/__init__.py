"""Does q agree with the posterior, and which uses of it survive?"""

from elbowroom.inference.diagnostics.agreement.agreement import agreement
from elbowroom.inference.diagnostics.agreement.result import Agreement
from elbowroom.inference.diagnostics.agreement.uses import Limits

__all__ = ["Agreement", "Limits", "agreement"]
