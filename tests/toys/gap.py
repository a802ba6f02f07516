"""Small models and guides for the tests of the gap: pixels, constrained sites, a two-site hierarchy."""

import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from elbowroom.inference import Target

Guide = Callable[..., None]


class Pixels:
    """z ~ N(0, I) in the plane, 8 binary pixels: posteriors neither Gaussian nor factorised, with light tails."""

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        generator = torch.Generator().manual_seed(3)
        self.weight = (2.0 * torch.randn(2, 8, generator=generator, dtype=torch.float64)).to(dtype)
        self.bias = torch.randn(8, generator=generator, dtype=torch.float64).to(dtype)

    def data(self, num_data: int) -> Tensor:
        generator = torch.Generator().manual_seed(5)
        z = torch.randn(num_data, 2, generator=generator, dtype=torch.float64).to(self.weight)
        p = torch.rand(num_data, 8, generator=generator, dtype=torch.float64).to(self.weight)
        return (p < (z @ self.weight + self.bias).sigmoid()).to(self.weight)

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), x.new_ones(2)).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=z @ self.weight + self.bias).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal((x - 0.5) @ self.weight.T / 10, 0.7 * x.new_ones(2)).to_event(1))

    def target(self, num_data: int) -> Target:
        return Target(self.model, self.guide, self.data(num_data))


def gaussian_guide(loc: Tensor, scale: Tensor) -> Guide:
    """q(z | x) = N(x/2 + loc, scale), scale a vector of sds or a Cholesky factor, whatever the batch."""

    def guide(x: Tensor) -> None:
        at = x / 2 + loc
        q = dist.Normal(at, scale).to_event(1) if scale.dim() == 1 else dist.MultivariateNormal(at, scale_tril=scale)
        with pyro.plate("data", len(x)):
            pyro.sample("z", q)

    return guide


def positive_model(x: Tensor) -> None:
    """A log-normal rate and a Gamma one below it: two sites, both positive."""
    with pyro.plate("data", len(x)):
        rate = pyro.sample("rate", dist.LogNormal(x.new_zeros(()), 0.8))
        level = pyro.sample("level", dist.Gamma(2.0 * torch.ones_like(rate), rate))
        pyro.sample("x", dist.Poisson(level), obs=x)


def positive_guide(x: Tensor) -> None:
    """Factorised log-normals: mean-field Gaussians in unconstrained coordinates."""
    with pyro.plate("data", len(x)):
        pyro.sample("rate", dist.LogNormal(-0.1 * x, 0.6 * torch.ones_like(x)))
        pyro.sample("level", dist.LogNormal((x + 0.5).log(), 0.5 * torch.ones_like(x)))


POSITIVE = (0.0, 1.0, 2.0, 4.0, 7.0)
"""Counts for `positive_model`."""


class Amortized(nn.Module):
    """A guide for `Pixels` that is trained: a linear or a wider encoder, diagonal."""

    def __init__(self, hidden: int = 0) -> None:
        super().__init__()
        self.net: nn.Module = (
            nn.Sequential(nn.Linear(8, hidden), nn.Tanh(), nn.Linear(hidden, 4)) if hidden else nn.Linear(8, 4)
        )

    def forward(self, x: Tensor) -> None:
        loc, log_scale = self.net(x).chunk(2, -1)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


class Decoder(nn.Module):
    """`Pixels` with parameters of its own."""

    def __init__(self) -> None:
        super().__init__()
        toy = Pixels()
        self.weight, self.bias = nn.Parameter(toy.weight), nn.Parameter(toy.bias)

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(2), x.new_ones(2)).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=z @ self.weight + self.bias).to_event(1), obs=x)


class TwoModes:
    """z ~ N(0, 2² I); the likelihood is 0.1 N(z; −c, ½² I) + 0.9 N(z; c, ½² I): two modes of these weights.

    The guide is the posterior of one mode alone: of the small one where x is negative, of the large one elsewhere.
    """

    SPREAD, NARROW, SMALL = 2.0, 0.5, 0.1

    def __init__(self, num_latents: int = 4, centre: float = 3.0) -> None:
        self.num_latents, self.centre = num_latents, centre
        self.variance = 1 / (self.SPREAD**-2 + self.NARROW**-2)
        self.mean = centre * self.variance / self.NARROW**2

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x), self.num_latents), self.SPREAD).to_event(1))
            low, high = (dist.Normal(c, self.NARROW).log_prob(z).sum(-1) for c in (-self.centre, self.centre))
            pyro.factor("x", torch.logaddexp(math.log(self.SMALL) + low, math.log(1 - self.SMALL) + high))

    def guide(self, x: Tensor) -> None:
        loc = torch.where(x < 0, -self.mean, self.mean).unsqueeze(1).expand(-1, self.num_latents)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc, math.sqrt(self.variance)).to_event(1))

    def target(self, *x: float) -> Target:
        return Target(self.model, self.guide, torch.tensor(x))

    @property
    def log_p(self) -> float:
        sd = math.hypot(self.SPREAD, self.NARROW)
        return self.num_latents * float(dist.Normal(0.0, sd).log_prob(torch.tensor(self.centre)))
