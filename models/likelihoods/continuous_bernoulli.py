"""Continuous Bernoulli likelihood: vectors of numbers in [0, 1], such as grey values left as they are."""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, distributions
from torch.distributions import constraints

from elbowroom.models.likelihoods.likelihood import Likelihood, Size
from elbowroom.models.likelihoods.vector import Vector
from elbowroom.networks.outputs import named_outputs


class ContinuousBernoulli(Likelihood):
    """x_p ~ CB(sigmoid(logits_p)): numbers in [0, 1], a Bernoulli's formula with the constant that makes it a density.

    Loaiza-Ganem & Cunningham (2019), "The continuous Bernoulli: fixing a pervasive error in variational autoencoders".
    """

    outputs = named_outputs("logits", "probs")
    data = "unit"

    def forward(self, logits: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return ContinuousBernoulliVector(logits)

    def of_object(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """(logits) of a continuous Bernoulli."""
        return (p_x.logits,) if isinstance(p_x, distributions.ContinuousBernoulli) else None


class ContinuousBernoulliVector(Vector):
    """x in [0, 1]^P with independent entries of density p(x_p) ∝ exp(l_p x_p), λ_p = sigmoid(l_p).

        log p(x) = Σ_p (x_p − ½) l_p − h(l_p),    h(l) = log [sinh(l/2) / (l/2)]

    h is even, and smooth at l = 0 (λ = ½), where it is summed as a series: value and gradients are right there. It
    takes half the time of `ContinuousBernoulli(logits=l).to_event(1)`.

    Args:
        logits: l, `[*batch, P]`.
        validate_args: check the logits and the values; by default as torch is set.
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (torch's own interface)
    support = constraints.independent(constraints.unit_interval, 1)
    wrong_values = "outside [0, 1]"
    advice = "expected numbers from 0 to 1 under a continuous Bernoulli likelihood; scale the data to that range"

    def __init__(self, logits: Tensor, validate_args: bool | None = None) -> None:
        self.logits = logits
        super().__init__("logits", validate_args)

    @property
    def mean(self) -> Tensor:
        """E x = ½ + h'(l) = 1/(1 − exp −l) − 1/l, `[*batch, P]`; ½ at l = 0."""
        a = self.logits.abs()
        near, t = a < _NEAR, a.square()
        far = 0.5 * torch.tanh(a / 2).reciprocal() - 1 / a
        series = a * (1 / 12 + t * (-1 / 720 + t * (1 / 30240 + t * (-1 / 1209600 + t / 47900160))))
        return 0.5 + self.logits.sign() * torch.where(near, series, far)

    @property
    def variance(self) -> Tensor:
        """Var x = h''(l) = 1/l² − 1/(4 sinh²(l/2)), `[*batch, P]`; 1/12 at l = 0."""
        a = self.logits.abs()
        near, t = a < _NEAR, a.square()
        far = 1 / t - torch.exp(-a) / torch.expm1(-a).square()
        series = 1 / 12 + t * (-1 / 240 + t * (1 / 6048 + t * (-1 / 172800 + t / 5322240)))
        return torch.where(near, series, far)

    def is_possible(self, value: Tensor) -> Tensor:
        """Which entries lie in [0, 1]."""
        return (value >= 0) & (value <= 1)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, P]`, from the inverse of the distribution function."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            limits = torch.finfo(self.logits.dtype)
            u = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
            a = self.logits.abs().clamp_min(limits.eps**2)
            distance = -torch.log1p((u * torch.expm1(-a)).clamp_min(limits.eps / 2 - 1)) / a  # from the nearer end
            return torch.where(self.logits > 0, 1 - distance, distance).clamp(0, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) in nats (per unit of x), `[*batch]`, for `value` broadcastable with the logits.

        Raises:
            ValueError: if values are checked and one is outside [0, 1].
        """
        if self._validate_args:
            self._validate_sample(value)
        a = self.logits.abs()
        near = a < _NEAR
        t, far = self.logits.square(), torch.where(near, 1.0, a)
        series = t * (1 / 24 + t * (-1 / 2880 + t * (1 / 181440 + t * (-1 / 9676800 + t / 479001600))))
        h = torch.where(near, series, far / 2 + torch.log(-torch.expm1(-far)) - far.log())
        return ((value - 0.5) * self.logits - h).sum(-1)


_NEAR = 0.25
"""Below it the series of h, of six terms at most, is right to a double's last digit, and above it the formula."""
