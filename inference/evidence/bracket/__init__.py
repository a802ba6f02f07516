"""log p(x) from both sides within a time budget: the estimators combined, datum by datum."""

from elbowroom.inference.evidence.bracket.bracket import bracket
from elbowroom.inference.evidence.bracket.result import Bracket
from elbowroom.inference.saving.state_file import StateError

__all__ = ["Bracket", "StateError", "bracket"]
