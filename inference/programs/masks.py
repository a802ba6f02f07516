"""What masks hide: of a distribution, and of a site's value.

A mask takes a term out of a log density, and leaves the draw in the program. Of an observed site that is a missing
value. Of a latent site it is a latent that follows its own prior, a factor that integrates to one: so latent sites are
evaluated without their masks (`Unmask`), whether they are summed out or not, and what the guide hides is drawn from
the prior (`Fill`), in handlers.py.
"""

from typing import Any

import torch
from pyro.distributions import MaskedDistribution
from torch import Tensor
from torch.distributions import Independent

from elbowroom.inference.programs.log_prob import innermost, is_point, log_prob, over_event, site_log_prob
from elbowroom.inference.programs.private_pyro import hides_all, mask_of

SEEN = "_elbowroom_seen"
"""Where `Unmask` writes down, among a site's `infer`, which elements of its value its masks left."""


def seen(fn: Any, mask: Any) -> Tensor:
    """Which elements of a value count: boolean, broadcasts to `[*batch, *event]`.

    Args:
        fn: a distribution, with masks inside it or without.
        mask: the mask around the site: None, a bool, or a tensor that broadcasts to `[*batch]`.
    """
    inside = _seen_inside(fn)
    return inside if mask is None else inside & over_event(torch.as_tensor(mask, device=inside.device), fn.event_dim)


def _seen_inside(fn: Any) -> Tensor:
    if isinstance(fn, Independent):
        return _seen_inside(fn.base_dist)
    if isinstance(fn, MaskedDistribution):
        inside = _seen_inside(fn.base_dist)
        return inside & over_event(mask_of(fn, inside.device), fn.event_dim)
    return torch.ones((), dtype=torch.bool, device=_device(fn))


def _device(fn: Any) -> torch.device:
    values = (v for v in vars(innermost(fn)).values() if isinstance(v, Tensor))
    return next((v.device for v in values), torch.device("cpu"))


def unmasked(fn: Any) -> Any:
    """The distribution without the masks inside it."""
    if isinstance(fn, MaskedDistribution):
        return unmasked(fn.base_dist)
    if isinstance(fn, Independent):
        base = unmasked(fn.base_dist)
        return fn if base is fn.base_dist else base.to_event(fn.reinterpreted_batch_ndims)
    return fn


def seen_log_prob(site: Any) -> Tensor:
    """The log density of a site as its masks leave it, `[*batch]`; `site_log_prob`, if `Unmask` has not met it."""
    return _part(site, hidden=False) if SEEN in site["infer"] else site_log_prob(site)


def hidden_log_prob(site: Any) -> Tensor:
    """The log density of what masks hid of a site that `Unmask` has met, `[*batch]`; −∞ outside the support."""
    return _part(site, hidden=True)


def _part(site: Any, hidden: bool) -> Tensor:
    value, kept = site["value"], site["infer"][SEEN]
    return _counted(site["fn"], value, (kept ^ hidden).to(value.device).expand(value.shape))


def _counted(fn: Any, value: Tensor, counts: Tensor) -> Tensor:
    if isinstance(fn, Independent):
        terms = _counted(fn.base_dist, value, counts)
        return terms.flatten(-fn.reinterpreted_batch_ndims).sum(-1) if fn.reinterpreted_batch_ndims else terms
    for _ in range(fn.event_dim):
        counts = counts[..., 0]  # a mask is of whole events
    terms = log_prob(fn, value)
    return torch.where(counts, terms, terms.new_zeros(()))


def is_deterministic(site: Any) -> bool:
    """Whether a site only writes down a value: `pyro.deterministic`, and what a reparameterisation leaves behind."""
    if site["infer"].get("_deterministic", False):
        return True
    point = site["is_observed"] and is_point(site["fn"])
    return point and isinstance(site["fn"], MaskedDistribution) and hides_all(site["fn"])
