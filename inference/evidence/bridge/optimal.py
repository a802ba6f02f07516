"""The optimal bridge between two samples: the ratio of their normalising constants, and its error."""

import math

import torch
from torch import Tensor

from elbowroom.inference.mcmc.effective_size import effective_sample_size

ITERATIONS = 1000
"""At most; samples that overlap need about ten."""

_TOLERANCE = 1e-10


def optimal_bridge(posterior: Tensor, proposal: Tensor, effective: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The fixed point of Meng & Wong (1996, equation 4.1), in logarithms.

    Args:
        posterior: log joint − log g at posterior draws, `[N_1, B]`, nats.
        proposal: the same at draws of g, `[N_2, B]`.
        effective: effective number of posterior draws, `[B]`.

    Returns:
        log r `[B]`, nats; the number of iterations `[B]`; whether they converged `[B]`.
    """
    log_r = posterior.median(0).values
    share = effective / (effective + len(proposal))
    num_iterations, done = torch.zeros_like(log_r, dtype=torch.long), torch.zeros_like(log_r, dtype=torch.bool)
    for _ in range(ITERATIONS):
        above, below = _terms(posterior, proposal, log_r, share)
        new = log_r + _log_mean(above) - _log_mean(below)
        settled = (new - log_r).abs() <= _TOLERANCE * (1 + new.abs())
        # A datum that has settled stays as it is: how long the others take must not show in it.
        log_r, num_iterations = torch.where(done, log_r, new), num_iterations + (~done).long()
        done = done | settled | new.isnan()
        if bool(done.all()):
            break
    return log_r, num_iterations, done & ~log_r.isnan()


def relative_error(
    posterior: Tensor, proposal: Tensor, log_r: Tensor, effective: Tensor, num_chains: int
) -> dict[str, Tensor]:
    """The relative root mean squared error of r and its two terms (Frühwirth-Schnatter 2004, equation 20)."""
    share = effective / (effective + len(proposal))
    above, below = (term.exp() for term in _terms(posterior, proposal, log_r, share))
    ess = effective_sample_size(below.unflatten(0, (num_chains, -1))).clamp(1, len(below))
    from_proposal = above.var(0) / above.mean(0).square() / len(above)
    from_posterior = below.var(0) / below.mean(0).square() / ess
    total = from_proposal + from_posterior
    return {
        "stderr": total.sqrt(),
        "ess": ess,
        "proposal_share": from_proposal / total,
        "posterior_share": from_posterior / total,
    }


def _terms(posterior: Tensor, proposal: Tensor, log_r: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """log of l/r / (s_1 l/r + s_2) at the proposal's draws, and of 1 / (s_1 l/r + s_2) at the posterior's."""
    one, two = share.log(), torch.log1p(-share)
    above = proposal - log_r
    return above - torch.logaddexp(one + above, two.expand_as(above)), -torch.logaddexp(
        one + posterior - log_r, two.expand_as(posterior)
    )


def _log_mean(values: Tensor) -> Tensor:
    return values.logsumexp(0) - math.log(len(values))
