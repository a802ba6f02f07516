"""Does q agree with the posterior, and which uses of it survive?"""

from elbowroom.inference.agreement.result import Agreement

__all__ = ["Agreement"]
