"""Observed values between those of a discrete support, where the user has switched validation off.

Grey values x in [0, 1] under a Bernoulli are the common case. Its density is a formula, and goes on between 0 and 1:

    p~(x | z) = λ(z)^x (1 − λ(z))^(1 − x)

That is a function of z, so p~(x, z) = p(z) p~(x | z) has a finite integral Z~(x) over z and a posterior
p~(z | x) = p~(x, z) / Z~(x), and log Z~ − ELBO = KL(q ‖ p~(z | x)) as ever. But over x it integrates to something else
than one, and to something that depends on z: log Z~ is no log-likelihood of x, nor comparable with one.

Validation is the user's consent. A distribution that was made with `validate_args=False` says that its formula is
meant as it stands; a global default that is off (`pyro.enable_validation(False)`, `python -O`) is there for speed and
says nothing about these data, so they are refused as under validation.
"""

from typing import Any

import torch
from pyro.distributions import Multinomial
from pyro.distributions.torch_distribution import ExpandedDistribution
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, OneHotCategorical

from elbowroom.inference.programs.log_prob import innermost, support_of

_CONTINUED = "its formula goes on between the values of its support, and is not normalised there"
_GREY = "its density there, λ^x (1−λ)^(1−x), is not normalised over [0, 1]"
_ROUND = "round the values, or take a distribution of real values"
_BINARISE = (
    "threshold the values, draw binary ones anew in each epoch (dynamic binarisation), or take ContinuousBernoulli, "
    "which is normalised on [0, 1]"
)


def sentence(name: str, fn: Any) -> str:
    """What numbers rest on where an observed site has such values, and what would make them log-likelihoods."""
    kind = innermost(fn)
    density = _GREY if isinstance(kind, Bernoulli) else _CONTINUED
    return (
        f"NO LOG-LIKELIHOOD: site '{name}' observes values that {type(kind).__name__} cannot draw; "
        f"{density}. ELBO and log p(x) are of this unnormalised density: their difference, "
        "KL(q ‖ p~(z|x)), is right, but neither is a log-likelihood of these data, and models are not to be compared "
        f"by them. To get one, {_BINARISE if _is_binary(support_of(fn)) else _ROUND}"
    )


def grey_values(fn: Any, value: Tensor) -> tuple[str, str] | None:
    """What is wrong with values between 0 and 1 under a distribution of zeros and ones, and the ways out; else None."""
    other = value[(value != 0) & (value != 1)]
    if not _is_binary(support_of(fn)) or not other.numel() or not bool(((other > 0) & (other < 1)).all()):
        return None
    ways = (
        "Ways out, of which a trained model wants the one that it was trained with: (1) one fixed cut, x = (x > "
        "0.5).to(x), or binarize='threshold' of elbowroom.datasets.load; (2) one draw, x = torch.bernoulli(x), also of "
        "a model that saw a new one in each minibatch (binarize='static', 'dynamic'); (3) a likelihood of real values, "
        "Normal or ContinuousBernoulli."
    )
    kind = innermost(fn)
    name = type(kind).__name__
    if not type(kind).__module__.startswith("elbowroom."):  # whose likelihoods are made by name
        ways += f" {by_formula(name)}"
    return f"grey values (such as {other[0].item():.6g})", f"{name} gives probability to 0 and 1 alone. {ways}"


def by_formula(kind: str) -> str:
    """How a user says that a density is meant between the values of its support, too."""
    return (
        f"If its formula is meant between the values of its support, too, say so by {kind}(..., validate_args=False), "
        "the global default being no answer: ELBO and room are then of an unnormalised density, and every result says "
        "so."
    )


def is_read_rounded(fn: Any) -> bool:
    """Whether a distribution rounds what it is given: soft labels are taken for hard ones, without a word."""
    return isinstance(innermost(fn), Categorical | OneHotCategorical)


def is_answered(fn: Any, value: Tensor) -> Tensor:
    """Which values outside the support have a density all the same that was asked for, `[*batch]` bool.

    Args:
        fn: a distribution, made under `quiet_globals`.
        value: `[*batch, *event]`.
    """
    marks = is_between(fn, value)
    if not _is_switched_off(fn) or not bool(marks.any()):
        return torch.zeros_like(marks)
    terms = fn.log_prob(value)
    return marks & (terms < torch.inf)  # NaN is not


def is_between(fn: Any, value: Tensor) -> Tensor:
    """Which values lie at or between those of a discrete support, `[*batch]` bool; none of what is rounded."""
    marks = None if is_read_rounded(fn) else _between(support_of(fn), value)
    if marks is None:
        return torch.zeros(value.shape[: value.dim() - fn.event_dim], dtype=torch.bool, device=value.device)
    return marks


def is_real(fn: Any, value: Tensor) -> Tensor:
    """Which values are fractions that torch's check of the support lets pass (counts of a Multinomial), `[*batch]`."""
    if not isinstance(innermost(fn), Multinomial):
        return torch.zeros((), dtype=torch.bool, device=value.device)
    return (value != value.round()).any(-1)


def _is_binary(support: Any) -> bool:
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    return type(support).__name__ == "_Boolean"


def _between(support: Any, value: Tensor) -> Tensor | None:
    """Whether values lie between the least and the largest of a discrete support; None for any other support."""
    kind = type(support).__name__
    if hasattr(support, "base_constraint"):  # of independent entries, or of a mixture's components
        marks, over = _between(support.base_constraint, value), getattr(support, "reinterpreted_batch_ndims", 0)
        return marks.flatten(-over).all(-1) if marks is not None and over else marks
    if kind not in _ENDS:
        return None
    low, high = _ENDS[kind](support)
    return (value >= low) & (value <= high)


_ENDS: dict[str, Any] = {
    "_Boolean": lambda support: (0, 1),
    "_IntegerInterval": lambda support: (support.lower_bound, support.upper_bound),
    "_IntegerGreaterThan": lambda support: (support.lower_bound, torch.inf),
    "_IntegerLessThan": lambda support: (-torch.inf, support.upper_bound),
}
"""torch's discrete supports -> their ends."""


def _is_switched_off(fn: Any) -> bool:
    """Whether the user made it with `validate_args=False`: what a global default leaves is 0 (see `quiet_globals`)."""
    if isinstance(fn, ExpandedDistribution):  # Pyro's Independent, expanded, switches it off itself
        return _is_switched_off(fn.base_dist)
    return getattr(fn, "_validate_args", None) is False
