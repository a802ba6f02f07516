"""The error of a bridge: how far the estimated ratio is from the true one, and which of the two samples is to blame."""

from typing import NamedTuple

from torch import Tensor

from elbowroom.inference.evidence.bridge.fixed_point import log_terms
from elbowroom.inference.mcmc.effective_size import effective_sample_size


class BridgeError(NamedTuple):
    """The relative root mean squared error of r and its two terms, `[B]` each.

    Attributes:
        stderr: √(proposal's term + posterior's term); to first order the error of log r, nats.
        ess: effective number of posterior draws in its term.
        proposal_stderr, posterior_stderr: the roots of the two terms: the Monte Carlo error of each mean, nats.
    """

    stderr: Tensor
    ess: Tensor
    proposal_stderr: Tensor
    posterior_stderr: Tensor


def relative_error(
    posterior: Tensor, proposal: Tensor, *, log_r: Tensor, effective: Tensor, num_chains: int
) -> BridgeError:
    """Estimate the relative mean squared error of r from the spread of the terms of its two means.

        E (r̂ / r − 1)² ≈ Var a / (N_2 (E a)²) + Var b / (N_eff (E b)²)

    with a = (l/r) / (s_1 l/r + s_2) at the proposal's independent draws and b = 1 / (s_1 l/r + s_2) at the posterior's
    dependent ones.

    Args:
        posterior: log l at posterior draws, chain after chain, `[N_1, B]`, nats.
        proposal: log l at draws of the proposal, `[N_2, B]`, nats.
        log_r: the fixed point, `[B]`, nats.
        effective: effective number of posterior draws that the bridge was built with, `[B]`.
        num_chains: chains that the posterior draws are of.

    Source: Frühwirth-Schnatter (2004), "Estimating marginal likelihoods for mixture and Markov switching models using
    bridge sampling techniques", equation 20.
    """
    share = effective / (effective + len(proposal))
    above, below = (term.exp() for term in log_terms(posterior, proposal, log_r, share))
    # The posterior's draws are dependent: b has an effective sample size of its own.
    ess = effective_sample_size(below.unflatten(0, (num_chains, -1))).clamp(1, len(below))
    from_proposal = above.var(0) / above.mean(0).square() / len(above)
    from_posterior = below.var(0) / below.mean(0).square() / ess
    total = from_proposal + from_posterior
    return BridgeError(
        stderr=total.sqrt(),
        ess=ess,
        proposal_stderr=from_proposal.sqrt(),
        posterior_stderr=from_posterior.sqrt(),
    )
