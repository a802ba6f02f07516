"""Latent sites whose prior a model masks away, on a bounded interval: they count with density one on it.

`dist.Uniform(a, b).mask(False)` in a model, and no mask in the guide, is Pyro's way to write a latent that is summed
over rather than weighed (the compartments of its relaxed epidemics). With f the product of all other factors,

    Z(x) = ∫_a^b f(x, z) dz

exists, and so does Z(x)'s ELBO. Like a prior that is improper the site has no draws; unlike one it is integrated over,
for the factor that the prior lacks is known. On an unbounded support there is no such integral in general.
"""

from collections.abc import Collection
from typing import Any

import torch
from pyro.distributions import ImproperUniform
from pyro.poutine.messenger import Messenger
from torch import Tensor

from elbowroom.inference.programs.masks import unmasked
from elbowroom.inference.programs.remarks import Remark
from elbowroom.inference.programs.requirements import Sites
from elbowroom.inference.programs.supports import interval


class Flat(ImproperUniform):
    """Density one on a support."""

    def log_prob(self, value: Tensor) -> Tensor:
        zeros: Tensor = super().log_prob(value)
        return zeros.to(value)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        raise NotImplementedError("the model masks its prior, which counts as a constant: there are no draws of it")


class Flatten(Messenger):
    """Give sites that the model masks their flat density, −∞ outside the support, in place of none at all."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__()
        self.names = frozenset(names)

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.names and not msg["is_observed"]:
            fn = unmasked(msg["fn"])
            msg["fn"], msg["mask"] = Flat(fn.support, fn.batch_shape, fn.event_shape), None


def is_flat(guide: Tensor, model: Tensor, fn: Any) -> bool:
    """Whether a site of the model is masked as a whole, the guide's not at all, on a bounded interval.

    Args:
        guide, model: which elements of the site's value the masks of each program leave.
        fn: the model's distribution.
    """
    if bool(model.any()) or not bool(guide.all()):
        return False
    ends = interval(fn)
    return ends is not None and all(bool(torch.isfinite(end).all()) for end in ends)


def flat_priors(latents: Sites, names: Collection[str], num_data: int) -> tuple[Remark, ...]:
    """For each such site what the numbers are of."""
    return tuple(
        Remark(
            f"NO PRIOR: latent site '{name}' ({_bounds(latents[name]['fn'])}) is masked in the model, so it counts "
            "with density one on its support: ELBO and log p(x) are of the integral of all other factors over it. They "
            "are log-likelihoods only if the model means this (a relaxed sum over counts); with the mask off they were "
            "lower by the log of the interval's length for each of its elements",
            torch.ones(num_data, dtype=torch.bool),
        )
        for name in names
    )


def _bounds(fn: Any) -> str:
    ends = interval(fn)
    assert ends is not None
    low, high = (f"{end.min():g}" if end.min() == end.max() else f"{end.min():g} … {end.max():g}" for end in ends)
    return f"from {low} to {high}"
