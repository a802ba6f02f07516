"""A normal distribution of a vector, cut into levels: p(x|z) of a generator with noise."""

from copy import copy
from typing import Any, Self

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.special import log_ndtr

Size = torch.Size | list[int] | tuple[int, ...]


class DiscretisedNormal(dist.TorchDistribution):
    """x in {0, …, K − 1}^P, P(x_p = k) the mass of N(m_p, σ²) between (k − ½)/(K − 1) and (k + ½)/(K − 1).

    Levels 0 and K − 1 have all that is beyond them. With a and b the edges less m, over σ,

        log P = log Φ(b) + log(1 − exp(log Φ(a) − log Φ(b)))

    in the lower tail, and of (−b, −a) in the upper one: nothing cancels however far from m a level lies.

    Args:
        loc: m, `[*batch, P]`, in units in which the levels fill [0, 1].
        scale: σ, in the same units.
        levels: K.
        validate_args: check parameters and values; by default as torch is set.
    """

    arg_constraints = {"loc": constraints.real_vector, "scale": constraints.positive}  # noqa: RUF012

    def __init__(self, loc: Tensor, scale: Tensor, levels: int, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.levels = loc, scale, levels
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """{0, …, K − 1}^P."""
        return constraints.independent(constraints.integer_interval(0, self.levels - 1), 1)

    def expand(self, batch_shape: Size, _instance: Any = None) -> Self:
        """The same distribution for more data; no memory is copied."""
        new = copy(self)
        new.loc = self.loc.expand(torch.Size(batch_shape) + self.event_shape)
        dist.TorchDistribution.__init__(new, torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, P]`: normal numbers, rounded to the nearest level."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            noise = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
            return ((self.loc + self.scale * noise) * (self.levels - 1)).round().clamp(0, self.levels - 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log P(x) in nats, `[*batch]`, for `value` broadcastable with m."""
        if self._validate_args:
            self._validate_sample(value)
        half = 0.5 / ((self.levels - 1) * self.scale)
        middle = (value / (self.levels - 1) - self.loc) / self.scale
        lowest, highest = value <= 0, value >= self.levels - 1
        upper = middle > 0
        a, b = torch.where(upper, -middle - half, middle - half), torch.where(upper, half - middle, half + middle)
        inside = log_ndtr(b) + torch.log(-torch.expm1(log_ndtr(a) - log_ndtr(b)))
        outside = log_ndtr(torch.where(lowest, middle + half, half - middle))  # of an outermost level
        return torch.where(lowest | highest, outside, inside).sum(-1)
