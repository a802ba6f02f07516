"""The likelihoods p(x|z), one small class each, and the registry that names them."""

import inspect
import math
from typing import ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.models.likelihoods.bernoulli_vector import BernoulliVector, NormalVector
from elbowroom.networks.checks import check_above, check_at_least, check_choice

FLOOR = 1e-3
"""The default lower limit of a learned σ, for data scaled to [0, 1].

8-bit grey values are k/255, so a σ below 1/255/√12 ≈ 1.1e-3 describes the rounding and not the image, and
without a limit a density can be made as large as one likes by letting σ → 0 on a pixel that never changes.
"""


class Likelihood(nn.Module):
    """p(x|z) from the decoder's outputs, each `[*batch, P]`.

    Attributes:
        outputs: what a decoder may say about x under this likelihood (names in `elbowroom.networks.outputs`);
            the first one is what a decoder built here says.
    """

    outputs: ClassVar[tuple[str, ...]]


class Bernoulli(Likelihood):
    """x_p ~ Bernoulli(sigmoid(logits_p)): data of zeros and ones."""

    outputs = ("logits", "probs")

    def forward(self, logits: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return BernoulliVector(logits)


class NormalFixed(Likelihood):
    """x_p ~ N(mean_p, σ²) with a given σ.

    Args:
        sigma: σ, in the units of x.
    """

    outputs = ("mean",)
    sigma: Tensor

    def __init__(self, sigma: float | None = None) -> None:
        super().__init__()
        if sigma is None:
            raise ValueError("sigma: got None; the likelihood 'normal-fixed' needs a value, such as sigma=0.1")
        # In the state dict: parameters loaded from a model with another σ bring their σ along.
        self.register_buffer("sigma", torch.tensor(check_above("sigma", sigma, 0)))

    def forward(self, mean: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return NormalVector(mean, self.sigma)


class NormalLearned(Likelihood):
    """x_p ~ N(mean_p, σ²) with one learned σ = floor + exp(a); `sigma` reports it.

    Args:
        sigma: the σ to start from, in the units of x.
        floor: what σ stays above.
    """

    outputs = ("mean",)

    def __init__(self, sigma: float = 1.0, floor: float = FLOOR) -> None:
        super().__init__()
        self.floor = check_at_least("floor", floor, 0)
        start = check_above("sigma", sigma, self.floor)
        self.log_above_floor = nn.Parameter(torch.tensor(math.log(start - self.floor)))

    @property
    def sigma(self) -> Tensor:
        """The current σ, a scalar, in the units of x."""
        return self.floor + self.log_above_floor.exp()

    def forward(self, mean: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return NormalVector(mean, self.sigma)


class NormalHeteroscedastic(Likelihood):
    """x_p ~ N(mean_p(z), σ_p(z)²) with σ_p(z) = floor + std_p(z), both from the decoder.

    Args:
        floor: what every σ_p(z) stays above.
    """

    outputs = ("mean_std", "mean_log_var")

    def __init__(self, floor: float = FLOOR) -> None:
        super().__init__()
        self.floor = check_at_least("floor", floor, 0)

    def forward(self, mean: Tensor, std: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return NormalVector(mean, self.floor + std)


LIKELIHOODS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "normal-fixed": NormalFixed,
    "normal-learned": NormalLearned,
    "normal-heteroscedastic": NormalHeteroscedastic,
}


def make_likelihood(name: str, *, sigma: float | None = None, floor: float | None = None) -> Likelihood:
    """The likelihood called `name`, with those of the options that are not `None`.

    Raises:
        ValueError: if the name is unknown, an option has no meaning for it, or its value is out of range.
    """
    constructor = LIKELIHOODS[check_choice("likelihood", name, LIKELIHOODS)]
    options = {key: value for key, value in (("sigma", sigma), ("floor", floor)) if value is not None}
    accepted = inspect.signature(constructor).parameters
    for option in options:
        if option not in accepted:
            raise ValueError(f"{option}: got {options[option]}, but the likelihood {name!r} has no such option")
    return constructor(**options)
