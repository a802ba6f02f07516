"""The log density of a traced sample site: unscaled, masked, −∞ outside the support."""

from typing import Any

import torch
from pyro.distributions import MaskedDistribution
from torch import Tensor
from torch.distributions import Independent


def site_log_prob(site: Any) -> Tensor:
    """The unscaled, masked log density of a site; −∞ where a latent value is outside the support."""
    fn, value = site["fn"], site["value"]
    log_prob = fn.log_prob(value) if site["is_observed"] else supported_log_prob(fn, value)
    mask = site["mask"]
    if mask is None:
        return log_prob
    return torch.where(torch.as_tensor(mask, device=log_prob.device), log_prob, log_prob.new_zeros(()))


def supported_log_prob(fn: Any, value: Tensor) -> Tensor:
    """`fn.log_prob(value)` with −∞ outside the support; what a mask inside `fn` hides counts nothing."""
    if not _bounded(fn):
        return fn.log_prob(value)
    if isinstance(fn, Independent):
        terms = supported_log_prob(fn.base_dist, value)
        return terms.flatten(-fn.reinterpreted_batch_ndims).sum(-1) if fn.reinterpreted_batch_ndims else terms
    if isinstance(fn, MaskedDistribution):
        terms = supported_log_prob(fn.base_dist, value)
        return torch.where(torch.as_tensor(fn._mask, device=terms.device), terms, terms.new_zeros(()))
    log_prob = fn.log_prob(value)
    return log_prob.masked_fill(~fn.support.check(value).broadcast_to(log_prob.shape), -torch.inf)


def _bounded(fn: Any) -> bool:
    support: Any = getattr(fn, "support", None)
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return support is not None and type(support).__name__ not in ("_Real", "_RealVector", "_Dependent")
