"""What do importance weights say of log p(x)? log w [S, B] in, numbers [B] out; arithmetic on torch tensors alone.

With w = p(x, z) / q(z | x) and E over draws z of q

    ELBO = E log w  ≤  IWAE-K = E log (1/K) Σ_k w_k  ≤  log p(x) = log E w  ≤  (1/n) log E w^n,  n ≥ 1,

and Pareto k̂, the tail index of the weights, says whether S draws can estimate such means at all: weights have 1/k̂
moments.

    reductions.py     ELBO, IWAE-K, log p̂(x), effective sample size, their standard errors
    pareto.py         k̂ from the largest weights, and its error
    tail.py           how far a heavy tail leaves the mean open, and from where on it is flagged
    power_means.py    Rényi and χ bounds, and an upper bound that is one in expectation
    ratio_bound.py    an upper bound that is the IWAE bound and what its gap is at most
    jackknife.py      the bias of IWAE-K, and IWAE without its leading term
    running.py        the same sums of samples that arrive in chunks

Read reductions.py first. Imports: torch; nothing of elbowroom.
"""

from elbowroom.inference.weights.pareto import (
    K_LIMIT,
    fit_generalized_pareto,
    pareto_k,
    pareto_k_of_tail,
    pareto_k_stderr,
    tail_length,
)
from elbowroom.inference.weights.reductions import (
    ROUNDING,
    ROUNDING_LIMIT,
    elbo,
    elbo_stderr,
    ess,
    grouped,
    is_constant,
    iwae,
    log_marginal,
    log_marginal_stderr,
    normalized,
    rounding_error,
    rounding_flag,
    spread_is_rounding,
)
from elbowroom.inference.weights.tail import (
    LONG_LIMIT,
    Tail,
    convergence_rate,
    has_tail,
    heavy_tail,
    k_limit,
    long_tail_length,
    min_sample_size,
    tail_of,
)

__all__ = [
    "K_LIMIT",
    "LONG_LIMIT",
    "ROUNDING",
    "ROUNDING_LIMIT",
    "Tail",
    "convergence_rate",
    "elbo",
    "elbo_stderr",
    "ess",
    "fit_generalized_pareto",
    "grouped",
    "has_tail",
    "heavy_tail",
    "is_constant",
    "iwae",
    "k_limit",
    "log_marginal",
    "log_marginal_stderr",
    "long_tail_length",
    "min_sample_size",
    "normalized",
    "pareto_k",
    "pareto_k_of_tail",
    "pareto_k_stderr",
    "rounding_error",
    "rounding_flag",
    "spread_is_rounding",
    "tail_length",
    "tail_of",
]
