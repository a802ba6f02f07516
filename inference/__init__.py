"""All that is computed from a (model, guide, data) triple."""

from elbowroom.inference.adapted import Adapted, adapted_importance
from elbowroom.inference.annealing import Bidirectional, anneal, anneal_reverse, bidirectional, smc
from elbowroom.inference.bounds import Bounds, bounds
from elbowroom.inference.bracket import Bracket, StateError, bracket
from elbowroom.inference.bridge import bridge
from elbowroom.inference.check import ProgramReport, check_program
from elbowroom.inference.compare import Comparison, compare
from elbowroom.inference.diagnostics import Gates
from elbowroom.inference.draws import Draws, NotAReference
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.importance import importance
from elbowroom.inference.mcmc import hmc
from elbowroom.inference.nuts import nuts
from elbowroom.inference.quadrature import quadrature
from elbowroom.inference.structure import ProgramError
from elbowroom.inference.target import Target
from elbowroom.inference.training import (
    CheckpointError,
    Fit,
    NonFiniteError,
    TrainingInterrupted,
    fit,
    load_checkpoint,
)

__all__ = [
    "Adapted",
    "Bidirectional",
    "Bounds",
    "Bracket",
    "CheckpointError",
    "Comparison",
    "Draws",
    "Estimate",
    "Fit",
    "Gates",
    "NonFiniteError",
    "NotAReference",
    "ProgramError",
    "ProgramReport",
    "StateError",
    "Target",
    "TrainingInterrupted",
    "adapted_importance",
    "anneal",
    "anneal_reverse",
    "bidirectional",
    "bounds",
    "bracket",
    "bridge",
    "check_program",
    "compare",
    "fit",
    "hmc",
    "importance",
    "load_checkpoint",
    "nuts",
    "quadrature",
    "smc",
]
