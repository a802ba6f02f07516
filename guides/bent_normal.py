"""A diagonal Normal bent by an invertible map: the distribution of every flow here."""

from typing import NamedTuple, Protocol

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Transform, constraints


class Bijection(Protocol):
    """An invertible map of vectors `[*batch, D]`, for each datum another."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """y = f(x) `[*batch, D]` and log |det ∂f/∂x| `[*batch]`."""

    def inverse(self, y: Tensor) -> Tensor:
        """x with f(x) = y, `[*batch, D]`, differentiable in y and in what f is made of."""


def bent_normal(mean: Tensor, std: Tensor, bend: Bijection) -> dist.TransformedDistribution:
    """z = m + s f(ε), ε ~ N(0, I):  log q(z) = log N(ε; 0, I) − log |det ∂f/∂ε| − Σ_d log s_d.

    What a draw was made from is remembered, with the determinant, for log q there: it takes no inverse, which may
    take many passes where the draw takes one. log q of any other z takes f⁻¹.

    Args:
        mean, std: m and s, `[B, D]`.
        bend: f.
    """
    noise = dist.Normal(torch.zeros_like(mean), 1.0).to_event(1)
    return dist.TransformedDistribution(noise, [_Bend(mean, std, bend)])


class _Draw(NamedTuple):
    """The last forward pass: ε, z and log |det ∂z/∂ε|."""

    noise: Tensor
    z: Tensor
    log_det: Tensor


class _Bend(Transform):
    """ε → m + s f(ε)."""

    domain = constraints.real_vector
    codomain = constraints.real_vector
    bijective = True

    def __init__(self, mean: Tensor, std: Tensor, bend: Bijection) -> None:
        super().__init__()
        self.mean, self.std, self.bend = mean, std, bend
        self.last: _Draw | None = None

    def _call(self, x: Tensor) -> Tensor:
        y, log_det = self.bend.forward(x)
        z = self.mean + self.std * y
        self.last = _Draw(x, z, log_det + self.std.log().sum(-1))
        return z

    def _inverse(self, y: Tensor) -> Tensor:
        # What was drawn without a graph is a constant, and what it was made from is none: the inverse has the gradient.
        has_graph = y.grad_fn is not None or not torch.is_grad_enabled()
        if self.last is not None and y is self.last.z and has_graph:
            return self.last.noise
        return self.bend.inverse((y - self.mean) / self.std)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |det ∂z/∂ε|, `[*batch]`, at ε = x."""
        if self.last is not None and x is self.last.noise:
            return self.last.log_det
        return self.bend.forward(x)[1] + self.std.log().sum(-1)
