"""Reductions of importance weights log w [S, B]. torch only."""

from elbowroom.inference.weights.pareto import (
    fit_generalized_pareto,
    pareto_k,
    pareto_k_of_tail,
    pareto_k_stderr,
    tail_length,
)
from elbowroom.inference.weights.reductions import (
    ROUNDING,
    elbo,
    elbo_stderr,
    ess,
    grouped,
    is_constant,
    iwae,
    log_marginal,
    log_marginal_stderr,
    normalized,
    spread_is_rounding,
)

__all__ = [
    "ROUNDING",
    "elbo",
    "elbo_stderr",
    "ess",
    "fit_generalized_pareto",
    "grouped",
    "is_constant",
    "iwae",
    "log_marginal",
    "log_marginal_stderr",
    "normalized",
    "pareto_k",
    "pareto_k_of_tail",
    "pareto_k_stderr",
    "spread_is_rounding",
    "tail_length",
]
