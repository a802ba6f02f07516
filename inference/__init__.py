"""All that is computed from a (model, guide, data) triple."""

from elbowroom.inference.check import ProgramReport, check_program
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.importance import importance
from elbowroom.inference.structure import ProgramError
from elbowroom.inference.target import Target

__all__ = ["Estimate", "ProgramError", "ProgramReport", "Target", "check_program", "importance"]
