"""The log density of a traced sample site: unscaled, masked, −∞ outside the support."""

import math
from typing import Any

import torch
from pyro.distributions import MaskedDistribution
from torch import Tensor
from torch.distributions import Independent, Transform, TransformedDistribution, biject_to, constraints

from elbowroom.inference.programs.private_pyro import mask_of
from elbowroom.inference.programs.private_torch import validation_switched_off

_CIRCULAR = ("VonMises", "SineBivariateVonMises", "SineSkewed")


def site_log_prob(site: Any) -> Tensor:
    """The unscaled, masked log density of a site; −∞ where a latent value is outside the support.

    Raises:
        NotImplementedError: naming the site, if the density is known at its own draws only.
    """
    fn, value, mask = site["fn"], site["value"], site["mask"]
    if mask is not None:
        mask = torch.as_tensor(mask, device=value.device)
        value = _filled(value, mask, fn.event_dim)
    enumerated = site["infer"].get("_enumerate_dim") is not None  # its values are those of the support
    try:
        return _hidden(log_prob(fn, value, inside=not (site["is_observed"] or enumerated)), mask)
    except _NoInverse as error:
        raise NotImplementedError(
            f"site '{site['name']}' is drawn through {error}, which has no inverse: its density is known at its own "
            "draws only (propose, importance), not at a given z. Use a transform with an inverse, for example "
            "spline_coupling or affine_autoregressive, for what needs it elsewhere."
        ) from error


def log_prob(fn: Any, value: Tensor, inside: bool = True) -> Tensor:
    """`fn.log_prob(value)`; what a mask inside `fn` hides counts nothing.

    Args:
        fn: a distribution.
        value: `[*batch, *event]`.
        inside: give values outside the support a log density of −∞. (Observed values are checked once, elsewhere.)
    """
    if isinstance(fn, Independent):
        terms, reinterpreted = log_prob(fn.base_dist, value, inside), fn.reinterpreted_batch_ndims
        return terms.flatten(-reinterpreted).sum(-1) if reinterpreted else terms
    if isinstance(fn, MaskedDistribution):
        mask = mask_of(fn, value.device)
        return _hidden(log_prob(fn.base_dist, _filled(value, mask, fn.event_dim), inside), mask)
    terms = _log_prob_of(fn, value)
    support = latent_support(fn) if inside else None
    if support is None or not _bounded(support):
        return terms
    return terms.masked_fill(~support.check(value).broadcast_to(terms.shape), -torch.inf)


class _NoInverse(NotImplementedError):
    """Transforms that know from which point a value came only if they have just made it; says their names."""


def _log_prob_of(fn: Any, value: Tensor) -> Tensor:
    if type(fn).log_prob is torch.distributions.Multinomial.log_prob:
        return _multinomial(fn, value)
    if type(fn).log_prob is torch.distributions.Normal.log_prob and not torch.is_grad_enabled():
        return _normal(fn, value)
    try:
        terms: Tensor = fn.log_prob(value)
    except (KeyError, NotImplementedError) as error:  # Pyro's, where a transform's cache does not hold it; torch's
        names = [type(step).__name__.removeprefix("Conditioned") for step in getattr(fn, "transforms", [])]
        if not names or not (isinstance(error, NotImplementedError) or "intermediates cache" in str(error)):
            raise
        raise _NoInverse(" and ".join(dict.fromkeys(names))) from error
    return terms


def _normal(fn: Any, value: Tensor) -> Tensor:
    """torch's log density, to the bit, in fewer passes: of a scale that plates expand one logarithm is enough."""
    scale = unexpanded(fn.scale)
    return (value - fn.loc) ** 2 / (-2 * scale**2) - scale.log() - _LOG_ROOT_2_PI


def _multinomial(fn: Any, counts: Tensor) -> Tensor:
    """torch's log density, without the assignment under a boolean index that no vmap can take."""
    logits = torch.where((counts == 0) & (fn.logits == -torch.inf), 0.0, fn.logits)
    return (counts.sum(-1) + 1).lgamma() + (counts * logits - (counts + 1).lgamma()).sum(-1)


_LOG_ROOT_2_PI = math.log(math.sqrt(2 * math.pi))


def unexpanded(tensor: Tensor) -> Tensor:
    """A tensor with one row in place of many that are one in memory; it broadcasts to what it was."""
    for dim, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        tensor = tensor.narrow(dim, 0, 1) if size > 1 and stride == 0 else tensor
    return tensor


def support_of(fn: Any) -> Any:
    """The support of a distribution; None where it states none (flows of zuko, wrappers of other libraries)."""
    try:
        return fn.support
    except (NotImplementedError, AttributeError, ValueError):  # torch's default raises; others have no such attribute
        return None


def is_circular(fn: Any) -> bool:
    """Whether a distribution states the real line and has its mass once on each period of 2π."""
    return type(fn).__name__ in _CIRCULAR


def latent_support(fn: Any) -> Any:
    """Where a latent of this distribution lives: its support, and of angles the one period that Pyro draws from.

    Over the whole line, which they state, their density is not normalised: no p(x) would be.
    """
    inside = fn
    while hasattr(inside, "base_dist") and not is_circular(inside) and not isinstance(inside, TransformedDistribution):
        inside = inside.base_dist
    if not is_circular(inside):
        return support_of(fn)
    period = constraints.interval(-math.pi, math.pi)
    return constraints.independent(period, fn.event_dim) if fn.event_dim else period


def enumerable(fn: Any) -> bool:
    """Whether a distribution lists its finitely many values."""
    try:
        return bool(fn.has_enumerate_support)
    except (NotImplementedError, AttributeError):
        return False


def bijection(fn: Any) -> Transform:
    """From unconstrained coordinates to the support of a distribution; the identity if it states none.

    Raises:
        NotImplementedError: if torch knows no bijection to that support.
    """
    support = latent_support(fn)
    if support is None:  # taken as real: a density that is zero somewhere says so itself
        support = constraints.independent(constraints.real, fn.event_dim)
    if type(support).__name__ == "MixtureSameFamilyConstraint":  # torch does not look inside
        support = support.base_constraint
    return biject_to(support)


def innermost(fn: Any) -> Any:
    """The distribution inside all wrappers: Independent, Masked, Transformed."""
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return fn


def is_point(fn: Any) -> bool:
    """Whether a distribution, inside its wrappers, is a Delta."""
    return type(innermost(fn)).__name__ == "Delta"


def _hidden(terms: Tensor, mask: Tensor | None) -> Tensor:
    return terms if mask is None else torch.where(mask, terms, terms.new_zeros(()))


def beyond_total(fn: Any, value: Tensor) -> Tensor:
    """Where counts under a Multinomial sum to more than its `total_count`, `[*batch]` bool; nowhere for others.

    torch's log density reads the total off the counts: it is that of counts with this total, normalised over them, if
    the user has switched validation off there because totals differ between data.
    """
    base = innermost(fn)
    if not isinstance(base, torch.distributions.Multinomial) or not validation_switched_off(base):
        return torch.zeros((), dtype=torch.bool, device=value.device)
    whole = ((value >= 0) & (value == value.round())).all(-1)
    return whole & (value.sum(-1) > base.total_count)


def over_event(mask: Tensor, event_dim: int) -> Tensor:
    """A mask of whole events, `[*batch]`, with a dim of size 1 for each of the event's."""
    return mask.reshape(mask.shape + (1,) * event_dim)


def _filled(value: Tensor, mask: Tensor, event_dim: int) -> Tensor:
    """NaN behind a mask stands for a missing value: filled, for its gradient would be NaN although its term is zero."""
    if not value.is_floating_point():
        return value
    return torch.where(value.isnan() & ~over_event(mask, event_dim), 0.5, value)


def _bounded(support: Any) -> bool:
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return type(support).__name__ not in ("_Real", "_RealVector", "_Dependent")
