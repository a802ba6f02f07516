"""What is known of log p(x), and of q(z|x), from a model, a guide and data: one wing for each question.

One idea carries all of it: a (model, guide, data) triple is two functions on [samples, data], log q(z | x) and log
p(x, z), and every estimator is a reduction over samples of their difference,

    log w[s, b] = log p(x_b, z[s, b]) − log q(z[s, b] | x_b),    z[s, b] ~ q(z | x_b),

for each datum b by itself. The mean of log w is the ELBO, the logarithm of the mean of w is log p(x), and the room
between them is KL(q(z|x) ‖ p(z|x)). Everything is in nats, carries its own error, and is flagged where it cannot be
trusted.

    weights/        what do the weights say? log w [S, B] in, numbers out
    showing/        how is a result printed?
    estimate.py     Estimate: value, error, what it bounds, flags
    entry_points.py what draws and writes results, found by name: nothing above is imported
    progress.py     progress bars
    programs/       how is a pair of Pyro programs read, checked and run?
    target.py       Target: the triple, its draws and its densities
    check.py        check_program: the same pair described in words
    evaluation/     how is a target evaluated at many points, within a byte budget?
    saving/         how is a result kept?
    training/       how is q fitted?
    mcmc/           what is p(z | x)?
    families/       which Gaussian, mixture or flow is nearest to p(z | x)?
    evidence/       what is log p(x)?
    gap/            where does the room come from?
    diagnostics/    may q be used?
    two_models/     which of two models is better?
    shards/         how are very many data shared out over workers?
    audit/          all of it in one call
    exploration/    what does latent space look like around a datum?

Read target.py first, then evidence/importance/importance.py. A wing imports wings that stand above it in this list;
gap, diagnostics, two_models and shards do not know each other, nor do mcmc and training. docs/house.md has the picture.
"""

from elbowroom.inference.audit import Audit, audit, audit_target
from elbowroom.inference.check import ProgramReport, check_program
from elbowroom.inference.diagnostics.agreement import Agreement, agreement
from elbowroom.inference.diagnostics.calibration import Calibration, calibrate
from elbowroom.inference.diagnostics.code_usage import CodeUsage, code_usage
from elbowroom.inference.diagnostics.comparison import compare
from elbowroom.inference.diagnostics.comparison_result import Comparison
from elbowroom.inference.diagnostics.latent_use import LatentUse, latent_use
from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.clock import Evaluations
from elbowroom.inference.evidence.annealing import Bidirectional, anneal, anneal_reverse, bidirectional, smc
from elbowroom.inference.evidence.bits import Bits, BitsPerDimension, bits_per_dimension
from elbowroom.inference.evidence.bracket import Bracket, StateError, bracket
from elbowroom.inference.evidence.bridge.adapted import Adapted, adapted_importance
from elbowroom.inference.evidence.bridge.bridge import bridge
from elbowroom.inference.evidence.importance.bounds import Bounds, bounds
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.evidence.perplexity import Perplexity, perplexity
from elbowroom.inference.evidence.quadrature.quadrature import quadrature
from elbowroom.inference.exploration import Exploration, explore
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
from elbowroom.inference.saving.one_writer import InUseError
from elbowroom.inference.shards import (
    Merged,
    MissingShards,
    Standing,
    merge_shards,
    read_shards,
    shard,
    shard_cost,
    shards_standing,
)
from elbowroom.inference.target import Target
from elbowroom.inference.training import (
    CheckpointError,
    EpochState,
    Fit,
    NonFiniteError,
    TrainingInterrupted,
    WorkersError,
    fit,
    load_checkpoint,
)
from elbowroom.inference.two_models import Paired, Versus, versus

__all__ = [
    "Adapted",
    "Agreement",
    "Audit",
    "Bidirectional",
    "Bits",
    "BitsPerDimension",
    "Bounds",
    "Bracket",
    "Calibration",
    "CheckpointError",
    "CodeUsage",
    "Comparison",
    "Decomposition",
    "Draws",
    "EncoderOverfitting",
    "EpochState",
    "Estimate",
    "Evaluations",
    "Exploration",
    "Fit",
    "Gates",
    "InUseError",
    "LatentUse",
    "Merged",
    "MissingShards",
    "NonFiniteError",
    "NotAReference",
    "Paired",
    "Perplexity",
    "ProgramError",
    "ProgramReport",
    "RefinedGuide",
    "RetrainedGuide",
    "SiteAttribution",
    "Standing",
    "StateError",
    "Target",
    "TrainingInterrupted",
    "Versus",
    "WorkersError",
    "adapted_importance",
    "agreement",
    "anneal",
    "anneal_reverse",
    "attribute_sites",
    "audit",
    "audit_target",
    "bidirectional",
    "bits_per_dimension",
    "bounds",
    "bracket",
    "bridge",
    "calibrate",
    "check_program",
    "code_usage",
    "compare",
    "decompose",
    "encoder_overfitting",
    "explore",
    "fit",
    "hmc",
    "importance",
    "latent_use",
    "load_checkpoint",
    "merge_shards",
    "nuts",
    "perplexity",
    "quadrature",
    "read_shards",
    "retrain_guide",
    "shard",
    "shard_cost",
    "shards_standing",
    "smc",
    "versus",
]
