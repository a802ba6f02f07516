"""Are the two means of a bridge of many terms, or of a few large ones?"""

from typing import NamedTuple

from torch import Tensor

from elbowroom.inference.evidence.bridge.fixed_point import log_terms
from elbowroom.inference.weights import K_LIMIT, pareto_k

UNSEEN_LIMIT = 0.05
"""Relative error of r that terms which were never drawn may make before a heavy tail is worth a flag."""

_RULE_OF_THREE = 3.0  # what has probability 3/N or more is drawn at least once in N, 95 times in 100


class Tails(NamedTuple):
    """What the largest terms of both means say, `[B]` each.

    Attributes:
        proposal_k: Pareto k̂ of a = (l/r) / (s_1 l/r + s_2) at the proposal's draws.
        posterior_k: k̂ of b = 1 / (s_1 l/r + s_2) at the posterior's.
        proposal_unseen, posterior_unseen: by how much terms never drawn may raise each mean, relative to it.
    """

    proposal_k: Tensor
    posterior_k: Tensor
    proposal_unseen: Tensor
    posterior_unseen: Tensor


def tails(posterior: Tensor, proposal: Tensor, *, log_r: Tensor, effective: Tensor, ess: Tensor) -> Tails:
    """Pareto k̂ of both kinds of terms, and what their tails can hide.

    Unlike importance weights, the terms are bounded, a < 1 / s_1 and b < 1 / s_2: a tail that looks heavy can add no
    more than the bound times the probability of what was never drawn, 3 / N. Where both samples overlap that is next
    to nothing, whatever k̂ is; where they hardly do, it is all there is.

    Args:
        posterior: log l at posterior draws, `[N_1, B]`, nats.
        proposal: log l at draws of the proposal, `[N_2, B]`, nats.
        log_r: the fixed point, `[B]`, nats.
        effective: effective number of posterior draws that the bridge was built with, `[B]`.
        ess: effective number of the posterior's terms, `[B]`.

    Source: Micaletto & Vehtari (2025), "Bridge Sampling Diagnostics" (arXiv 2508.14487), for k̂ of both terms.
    """
    share = effective / (effective + len(proposal))
    above, below = log_terms(posterior, proposal, log_r, share)
    return Tails(
        proposal_k=pareto_k(above),
        posterior_k=pareto_k(below),
        proposal_unseen=_RULE_OF_THREE / (share * len(proposal) * above.exp().mean(0)),
        posterior_unseen=_RULE_OF_THREE / ((1 - share) * ess * below.exp().mean(0)),
    )


def heavy(whose: str, k: float, unseen: float) -> str:
    """The reason not to trust a mean whose terms have this k̂, or an empty string."""
    if not (k > K_LIMIT and unseen > UNSEEN_LIMIT):
        return ""
    return (
        f"Pareto k̂ = {k:.2f} > {K_LIMIT} of the {whose} terms, which may hide {100 * min(unseen, 1.0):.0f} % of their "
        "mean: proposal and posterior hardly overlap"
    )
