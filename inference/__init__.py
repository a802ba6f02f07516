"""All that is computed from a (model, guide, data) triple."""

from elbowroom.inference.audit import Audit, audit, audit_target
from elbowroom.inference.check import ProgramReport, check_program
from elbowroom.inference.diagnostics.agreement import Agreement, agreement
from elbowroom.inference.diagnostics.calibration import Calibration, calibrate
from elbowroom.inference.diagnostics.comparison import Comparison, compare
from elbowroom.inference.diagnostics.latent_use import LatentUse, latent_use
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.annealing import Bidirectional, anneal, anneal_reverse, bidirectional, smc
from elbowroom.inference.evidence.bracket import Bracket, StateError, bracket
from elbowroom.inference.evidence.bridge.adapted import Adapted, adapted_importance
from elbowroom.inference.evidence.bridge.bridge import bridge
from elbowroom.inference.evidence.importance.bounds import Bounds, bounds
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.evidence.quadrature.quadrature import quadrature
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
from elbowroom.inference.mcmc import hmc
from elbowroom.inference.mcmc.convergence import Gates
from elbowroom.inference.mcmc.draws import Draws, NotAReference
from elbowroom.inference.mcmc.nuts import nuts
from elbowroom.inference.programs.structure import ProgramError
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
