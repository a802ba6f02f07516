"""log p(x) under a model without latents: what any model with them should be better than.

    log p̂(x_b) = Σ_n log p(x_bn | what the other data say of entry n)

Each entry is independent of the others, and each datum is told by the B − 1 others, so that the baseline has not seen
what it is asked for.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Normal, constraints

from elbowroom.inference.programs.supports import entry_support, unwrapped
from elbowroom.inference.target import Target

LEAST_DATA = 8
"""Data below which the others say too little of a datum."""


class Baseline(NamedTuple):
    """log p̂(x) of each datum, `[B]`, nats, and what it is of, in words."""

    value: Tensor
    about: str


def independent_entries(target: Target) -> Baseline | None:
    """The baseline of the data that a target is pinned to.

    Zeros and ones are coins, each with the share of ones among the other data and half a datum more of each (Krichevsky
    & Trofimov 1981); levels likewise; counts are Poisson with the others' mean; real numbers are Normal with the
    others' mean, and the model's σ, if it has one for all entries and data, else one of theirs.

    Returns:
        None where there is none to compare with: several observed sites, masks, fewer than eight data, values of other
        kinds, or data that the program cannot be given in parts.
    """
    found = _observed(target)
    if found is None:
        return None
    x, fn, support = found
    if bool((torch.as_tensor(getattr(support, "lower_bound", 0)) != 0).any()):
        return None
    return next((make(x, fn, support) for kind, make in _KINDS if isinstance(support, type(kind))), None)


def num_values(target: Target) -> int:
    """P, the number of observed values of a datum."""
    sites = [r for program, _, name, r in target.sites() if program == "model" and name in target.structure.observed]
    return sum(record["value"].numel() for record in sites) // len(target)


def _observed(target: Target) -> tuple[Tensor, Any, constraints.Constraint] | None:
    """The only observed site's values, `[B, N]`, their distribution, and where they live."""
    structure = target.structure
    if len(structure.observed) != 1 or structure.data_dim is None or len(target) < LEAST_DATA or structure.separate:
        return None
    record = next(r for program, _, name, r in target.sites() if program == "model" and name == structure.observed[0])
    if record["mask"] is not None:
        return None
    fn, value = record["fn"], record["value"].detach().double().cpu()
    if _is_masked(fn):
        return None
    axis = len(fn.batch_shape) + structure.data_dim
    if value.shape[axis] != len(target):
        return None
    return value.movedim(axis, 0).reshape(len(target), -1), fn, entry_support(fn)


def _is_masked(fn: Any) -> bool:
    """Whether a part of a distribution's values do not count."""
    return isinstance(fn, dist.MaskedDistribution) or (hasattr(fn, "base_dist") and _is_masked(fn.base_dist))


def _coins(x: Tensor, fn: Any, support: constraints.Constraint) -> Baseline:
    return _of_levels(x, 2, "coins, one for each entry")


def _levels(x: Tensor, fn: Any, support: constraints.Constraint) -> Baseline:
    most = torch.as_tensor(support.upper_bound).max()  # type: ignore[attr-defined]
    return _of_levels(x, int(most) + 1, "dice, one for each entry")


def _of_levels(x: Tensor, levels: int, about: str) -> Baseline:
    counts = torch.stack([(x == level).sum(0) for level in range(levels)]).double()  # [K, N]
    own = counts.gather(0, x.long()) - 1  # how many others have the datum's own level
    return Baseline(((own + 0.5) / (len(x) - 1 + levels / 2)).log().sum(-1), about)


def _poisson(x: Tensor, fn: Any, support: constraints.Constraint) -> Baseline:
    rate = (x.sum(0) - x + 0.5) / (len(x) - 1)
    return Baseline(torch.distributions.Poisson(rate).log_prob(x).sum(-1), "Poisson counts, a rate for each entry")


def _normal(x: Tensor, fn: Any, support: constraints.Constraint) -> Baseline:
    others = (x.sum(0) - x) / (len(x) - 1)
    sigma = _sigma(fn)
    if sigma is not None:
        value = Normal(others, sigma).log_prob(x).sum(-1)
        return Baseline(value, "Normals, a mean for each entry and the model's σ")
    squares = (x - others).square()
    variance = (squares.sum() - squares.sum(-1)) / ((len(x) - 1) * x.shape[1])  # of the other data's entries
    found = variance.clamp_min(torch.finfo(x.dtype).tiny).sqrt().unsqueeze(-1)
    return Baseline(Normal(others, found).log_prob(x).sum(-1), "Normals, a mean for each entry and one σ")


def _sigma(fn: Any) -> float | None:
    """The σ of a Normal that has the same for all entries and data: a model is held against others of its own σ."""
    fn = unwrapped(getattr(fn, "independent_entries", fn))
    if not isinstance(fn, Normal) or not bool((fn.scale == fn.scale.flatten()[0]).all()):
        return None
    return float(fn.scale.flatten()[0])


_KINDS: list[tuple[constraints.Constraint, Callable[[Tensor, Any, constraints.Constraint], Baseline]]] = [
    (constraints.boolean, _coins),
    (constraints.integer_interval(0, 1), _levels),
    (constraints.nonnegative_integer, _poisson),
    (constraints.real, _normal),
]
"""Where values live, and the baseline of such values."""
