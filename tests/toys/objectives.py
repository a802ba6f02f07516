"""A conjugate model and guide with parameters of their own for each datum: a gradient of N data is N replicates."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.inference.programs.structure import read_structure
from elbowroom.inference.training import OBJECTIVES
from elbowroom.inference.training.objectives.contract import Setting

X = 1.3
"""Every datum."""

OPTIONS: dict[str, dict[str, Any]] = {"Renyi": {"alpha": 0.5}}
"""Of objectives whose default says too little in a test."""


class Place(NamedTuple):
    """θ = m of z ~ N(m, 1), x | z ~ N(z, 1), and φ = (a, log s) of q = N(a, s²): numbers, or a tensor for all data."""

    m: Any
    a: Any
    log_s: Any


AWAY = Place(0.2, 0.9, -0.22)
POSTERIOR = Place(0.2, (X + 0.2) / 2, -0.34657359027997264)  # s² = 1/2


class Replicates:
    """The pair at one place, N times over.

    Args:
        place: where.
        num_data: N.
        reparameterised: whether the guide's draws carry a gradient.
    """

    def __init__(self, place: Place, num_data: int, reparameterised: bool = True) -> None:
        self.parameters = Place(*(torch.full((num_data,), float(p)).requires_grad_() for p in place))
        self.x = torch.full((num_data,), X)
        self.reparameterised = reparameterised

    def model(self, x: Tensor) -> None:
        pyro.param("token", torch.tensor(0.0))  # Pyro's losses call backward if they see one
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(self.parameters.m, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(self, x: Tensor) -> None:
        q = dist.Normal(self.parameters.a, self.parameters.log_s.exp())
        with pyro.plate("data", len(x)):
            pyro.sample("z", q if self.reparameterised else q.has_rsample_(False))

    def gradients(self, name: str, num_particles: int, broadcasts: bool = True, **options: Any) -> tuple[float, Tensor]:
        """The mean objective, and the gradient of it in each parameter of each replicate, `[3, N]`."""
        structure = read_structure(self.model, self.guide, (self.x,), {}, "data")
        setting = Setting(structure, "data", num_particles, broadcasts)
        loss = OBJECTIVES[name].make(setting, **OPTIONS.get(name, {}) | options)
        value = -loss.loss_and_grads(self.model, self.guide, self.x) / len(self.x)
        return value, torch.stack([torch.zeros_like(p) if p.grad is None else -p.grad for p in self.parameters])


class Chain(Replicates):
    """z_1 ~ N(m, 1), z_2 ~ N(z_1, 1), x ~ N(z_2, 1), and q of z_1 and of z_2 given z_1: N(a, s²) N(a + z_1 / 2, s²)."""

    def model(self, x: Tensor) -> None:
        pyro.param("token", torch.tensor(0.0))
        with pyro.plate("data", len(x)):
            z = pyro.sample("z_1", dist.Normal(self.parameters.m, 1.0))
            z = pyro.sample("z_2", dist.Normal(z, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(self, x: Tensor) -> None:
        a, s = self.parameters.a, self.parameters.log_s.exp()
        with pyro.plate("data", len(x)):
            z = pyro.sample("z_1", dist.Normal(a, s))
            pyro.sample("z_2", dist.Normal(a + z / 2, s))


class Summed(Replicates):
    """k ~ Bernoulli(0.4), z ~ N(m + 2 k, 1), x ~ N(z, 1), with k left to the model."""

    def model(self, x: Tensor) -> None:
        pyro.param("token", torch.tensor(0.0))
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Bernoulli(0.4))
            z = pyro.sample("z", dist.Normal(self.parameters.m + 2 * k, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def least(name: str) -> int:
    """Particles of an objective in a test: two, or what it needs."""
    return max(2, OBJECTIVES[name].least_particles)


def log_evidence(m: Any) -> Tensor:
    """log p(x) = log N(x; m, 2)."""
    return dist.Normal(torch.as_tensor(m), 2**0.5).log_prob(torch.tensor(X))


def expected(of: Callable[[Tensor, Tensor], Tensor], place: Place, nodes: int = 48) -> Tensor:
    """E of a function of (log w, z) of two draws, `[2, M]` each to `[M]`, by Gauss–Hermite quadrature over ε_1, ε_2.

    z = a + s ε, with the graph of the place's parameters.
    """
    points, weights = _hermite(nodes)
    eps = torch.stack([points.repeat_interleave(nodes), points.repeat(nodes)])  # [2, M]
    m, a, s = place.m, place.a, place.log_s.exp()
    z = a + s * eps
    log_q = dist.Normal(a, s).log_prob(z)
    log_w = dist.Normal(m, 1.0).log_prob(z) + dist.Normal(z, 1.0).log_prob(torch.tensor(X)) - log_q
    return (torch.outer(weights, weights).flatten() * of(log_w, z)).sum()


def leaves(place: Place) -> Place:
    """Its numbers as leaves."""
    return Place(*(torch.tensor(float(p)).requires_grad_() for p in place))


def _hermite(nodes: int) -> tuple[Tensor, Tensor]:
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return torch.from_numpy(points), torch.from_numpy(weights / weights.sum())
