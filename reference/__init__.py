"""Small problems whose log p(x) and posterior are known: what estimators are tested against."""

from elbowroom.reference.reference import Reference
from elbowroom.reference.registry import PROBLEMS, problem

__all__ = ["PROBLEMS", "Reference", "problem"]
