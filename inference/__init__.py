"""All that is computed from a (model, guide, data) triple."""

from elbowroom.inference.adapted import Adapted, adapted_importance
from elbowroom.inference.agreement import Agreement, agreement
from elbowroom.inference.annealing import Bidirectional, anneal, anneal_reverse, bidirectional, smc
from elbowroom.inference.audit import Audit, audit, audit_target
from elbowroom.inference.bounds import Bounds, bounds
from elbowroom.inference.bracket import Bracket, StateError, bracket
from elbowroom.inference.bridge import bridge
from elbowroom.inference.calibration import Calibration, calibrate
from elbowroom.inference.check import ProgramReport, check_program
from elbowroom.inference.compare import Comparison, compare
from elbowroom.inference.diagnostics import Gates
from elbowroom.inference.draws import Draws, NotAReference
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.gap import (
    Decomposition,
    EncoderOverfitting,
    RefinedGuide,
    RetrainedGuide,
    SiteAttribution,
    attribute_sites,
    decompose,
    encoder_overfitting,
    retrain_guide,
)
from elbowroom.inference.importance import importance
from elbowroom.inference.latent_use import LatentUse, latent_use
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
    "Agreement",
    "Audit",
    "Bidirectional",
    "Bounds",
    "Bracket",
    "Calibration",
    "CheckpointError",
    "Comparison",
    "Decomposition",
    "Draws",
    "EncoderOverfitting",
    "Estimate",
    "Fit",
    "Gates",
    "LatentUse",
    "NonFiniteError",
    "NotAReference",
    "ProgramError",
    "ProgramReport",
    "RefinedGuide",
    "RetrainedGuide",
    "SiteAttribution",
    "StateError",
    "Target",
    "TrainingInterrupted",
    "adapted_importance",
    "agreement",
    "anneal",
    "anneal_reverse",
    "attribute_sites",
    "audit",
    "audit_target",
    "bidirectional",
    "bounds",
    "bracket",
    "bridge",
    "calibrate",
    "check_program",
    "compare",
    "decompose",
    "encoder_overfitting",
    "fit",
    "hmc",
    "importance",
    "latent_use",
    "load_checkpoint",
    "nuts",
    "quadrature",
    "retrain_guide",
    "smc",
]
