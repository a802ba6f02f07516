"""The best members of each family, one distribution a datum, as a guide."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RefinedGuide:
    """Semi-amortized guides: what the ladder found."""
