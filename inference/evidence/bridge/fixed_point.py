"""The optimal bridge between two samples: the ratio of their normalising constants, as a fixed point."""

import math

import torch
from torch import Tensor

ITERATIONS = 1000
"""At most; samples that overlap need about ten."""

_TOLERANCE = 1e-10


def optimal_bridge(posterior: Tensor, proposal: Tensor, effective: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Iterate the optimal bridge to its fixed point, in logarithms.

        r ← mean_j [l(v_j) / (s_1 l(v_j) + s_2 r)] / mean_i [1 / (s_1 l(u_i) + s_2 r)],   l = joint / g

    Args:
        posterior: log l at posterior draws u_i, `[N_1, B]`, nats.
        proposal: log l at draws v_j of g, `[N_2, B]`, nats.
        effective: effective number of posterior draws, `[B]`, which counts as N_1 in s_1 = N_1 / (N_1 + N_2) = 1 − s_2.

    Returns:
        log r `[B]`, nats; the number of iterations `[B]`; whether they converged `[B]`.

    Source: Meng & Wong (1996), "Simulating ratios of normalizing constants via a simple identity", equation 4.1.
    """
    log_r = posterior.median(0).values
    share = effective / (effective + len(proposal))
    num_iterations, done = torch.zeros_like(log_r, dtype=torch.long), torch.zeros_like(log_r, dtype=torch.bool)
    for _ in range(ITERATIONS):
        # Both means carry a factor 1 / r, which cancels: the new r is r times their quotient.
        above, below = log_terms(posterior, proposal, log_r, share)
        new = log_r + _log_mean(above) - _log_mean(below)
        settled = (new - log_r).abs() <= _TOLERANCE * (1 + new.abs())
        # A datum that has settled stays as it is: how long the others take must not show in it.
        log_r, num_iterations = torch.where(done, log_r, new), num_iterations + (~done).long()
        done = done | settled | new.isnan()
        if bool(done.all()):
            break
    return log_r, num_iterations, done & ~log_r.isnan()


def log_terms(posterior: Tensor, proposal: Tensor, log_r: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithms of the terms of both means, with l in units of r.

    Args:
        posterior: log l at posterior draws, `[N_1, B]`, nats.
        proposal: log l at draws of g, `[N_2, B]`, nats.
        log_r: log r, `[B]`, nats.
        share: s_1, `[B]`.

    Returns:
        log of (l/r) / (s_1 l/r + s_2) at the proposal's draws `[N_2, B]`, and of 1 / (s_1 l/r + s_2) at the
        posterior's `[N_1, B]`.
    """
    one, two = share.log(), torch.log1p(-share)
    above = proposal - log_r
    return above - torch.logaddexp(one + above, two.expand_as(above)), -torch.logaddexp(
        one + posterior - log_r, two.expand_as(posterior)
    )


def _log_mean(values: Tensor) -> Tensor:
    return values.logsumexp(0) - math.log(len(values))
