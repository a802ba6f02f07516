"""Whether a guide's site can reach all values that the model's can take."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import ComposeTransform, IndependentTransform, TransformedDistribution

from elbowroom.inference.programs.log_prob import is_circular, support_of

Interval = tuple[Tensor, Tensor]

_SLACK = 1e-6
"""Of a bound's size: transforms stop short of the bounds that they tend to."""

_PRIOR_DRAWS = 32


def narrower(guide: Any, model: Any, value: Tensor) -> Tensor:
    """Where the guide's support is a proper subset of the model's, boolean, with the shape of a value or of its batch.

    Intervals are compared by their bounds, element by element. Of others the model's own draws are tried: one outside
    the guide's support says that it is narrower.

    Args:
        guide, model: the distributions of one site in both programs.
        value: a value of the site, `[*batch, *event]`.
    """
    nowhere = torch.zeros(value.shape, dtype=torch.bool, device=value.device)
    inner, outer = support_of(guide), support_of(model)
    if inner is None or outer is None:
        return nowhere
    if _is_discrete(inner) and not _is_discrete(outer):
        return ~nowhere
    own, prior = interval(guide), interval(model)
    if own is not None and prior is not None:
        apart = _beyond(own[0], prior[0]) | _beyond(-own[1], -prior[1])
        return nowhere | apart if apart.dim() <= value.dim() else nowhere
    if _kind(inner) == _kind(outer):
        return nowhere
    try:
        inside = inner.check(model.sample(torch.Size((_PRIOR_DRAWS,))))
    except (NotImplementedError, RuntimeError, ValueError):
        return nowhere
    return (~inside).any(0)


def unwrapped(fn: Any) -> Any:
    """The distribution inside wrappers that leave its values as they are: independent, masked, expanded."""
    while hasattr(fn, "base_dist") and not isinstance(fn, TransformedDistribution):
        fn = fn.base_dist
    return fn


def entry_support(fn: Any) -> Any:
    """Where single entries of a distribution's values live; None where it does not say."""
    support = support_of(fn)
    return None if support is None else _unwrapped(support)[0]


def interval(fn: Any) -> Interval | None:
    """Lower and upper bounds of a distribution of independent real elements; None for other supports."""
    fn = unwrapped(fn)
    if is_circular(fn):
        pi = torch.tensor(math.pi)
        return -pi, pi
    if isinstance(fn, TransformedDistribution):
        return _mapped(fn)
    constraint = support_of(fn)
    return None if constraint is None else _bounds(constraint)


def _mapped(fn: Any) -> Interval | None:
    """Bounds of the base, taken through the transforms: what these say of their codomains may be too wide."""
    ends, maps = interval(fn.base_dist), list(fn.transforms)
    while ends is not None and maps:
        step = maps.pop(0)
        if isinstance(step, ComposeTransform):
            maps[:0] = step.parts
        elif isinstance(step, IndependentTransform):
            maps.insert(0, step.base_transform)
        else:
            ends = _through(step, ends)
    return ends if ends is not None else _bounds(support_of(fn))


def _through(step: Any, ends: Interval) -> Interval | None:
    if not step.bijective or step.domain.event_dim or step.codomain.event_dim:
        return None
    try:
        a, b = step(ends[0]), step(ends[1])
    except (NotImplementedError, RuntimeError, ValueError):
        return None
    return None if bool((a.isnan() | b.isnan()).any()) else (torch.minimum(a, b), torch.maximum(a, b))


def _bounds(constraint: Any) -> Interval | None:
    constraint, mixture = _unwrapped(constraint)
    kind = type(constraint).__name__
    low, high = getattr(constraint, "lower_bound", None), getattr(constraint, "upper_bound", None)
    if kind in ("_Real", "_Integer"):
        low, high = -math.inf, math.inf
    elif kind == "_Boolean":
        low, high = 0.0, 1.0
    elif low is None and high is None:
        return None
    lower = torch.as_tensor(-math.inf if low is None else low)
    upper = torch.as_tensor(math.inf if high is None else high)
    # The components of a mixture lie along the last dim of its bounds; it reaches what one of them reaches.
    if mixture and lower.dim():
        lower = lower.amin(-1)
    if mixture and upper.dim():
        upper = upper.amax(-1)
    return lower, upper


def _unwrapped(constraint: Any) -> tuple[Any, bool]:
    mixture = False
    while hasattr(constraint, "base_constraint"):
        mixture |= type(constraint).__name__ == "MixtureSameFamilyConstraint"
        constraint = constraint.base_constraint
    return constraint, mixture


def _beyond(inner: Tensor, outer: Tensor) -> Tensor:
    """Whether a lower bound is truly above another, elementwise."""
    slack = _SLACK * outer.abs().clamp_min(1.0).nan_to_num(posinf=0.0)
    return inner > outer + torch.where(outer.isfinite(), slack, 0.0)


def _kind(constraint: Any) -> str:
    return type(_unwrapped(constraint)[0]).__name__


def _is_discrete(constraint: Any) -> bool:
    try:
        return bool(constraint.is_discrete)
    except NotImplementedError:  # one that depends on what nobody knows
        return False
