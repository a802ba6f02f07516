"""Negative binomial likelihood: vectors of counts that vary more than a Poisson's."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import constraints
from torch.nn import functional

from elbowroom.models.likelihoods.exposure import CountLikelihood
from elbowroom.models.likelihoods.gamma import log_rising
from elbowroom.models.likelihoods.likelihood import Size
from elbowroom.models.likelihoods.poisson import COUNTS
from elbowroom.models.likelihoods.vector import Vector, is_whole
from elbowroom.networks.checks import check_size


class NegativeBinomial(CountLikelihood):
    """x_p ~ NB(mean exp(log_mean_p), dispersion θ_p): counts of variance mean + mean²/θ_p.

    θ = exp(`log_theta`) is learned, and the same for every z; as θ → ∞ the counts become Poisson.

    Args:
        exposure: None, or `"total"`: the means are the datum's total times softmax(log_mean), see `exposure.py`.
        data_dim: P, for a θ_p of each entry; None for one θ.
    """

    outputs = ("log_mean",)

    def __init__(self, exposure: str | None = None, data_dim: int | None = None) -> None:
        super().__init__(exposure)
        shape = () if data_dim is None else (check_size("data_dim", data_dim),)
        self.log_theta = nn.Parameter(torch.zeros(shape))

    def forward(self, log_mean: Tensor, exposure: Tensor | None = None) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`, of data of sizes `exposure [*batch]`."""
        return NegativeBinomialVector(self.log_mean(log_mean, exposure), self.log_theta)


class NegativeBinomialVector(Vector):
    """x in {0, 1, 2, …}^P with independent entries of mean μ_p = exp η_p and variance μ_p + μ_p²/θ_p.

        log p(x) = Σ_p log [Γ(x + θ) / (Γ(θ) x!)] + x a − (x + θ) log(1 + exp a),    a = η − log θ
        x a − (x + θ) log(1 + exp a) = m b − (x + θ) log(1 + exp b),                 m = min(x, θ), b = ±a

    and of the two signs the one is taken that leaves the smaller numbers to subtract. It takes 0.2 of the time of
    `NegativeBinomial(θ, logits=a).to_event(1)`, and 0.4 with gradients.

    Args:
        log_mean: η, `[*batch, P]`.
        log_theta: log θ, broadcastable with η: `[]`, `[P]` or `[*batch, P]`.
        validate_args: check the parameters and the values; by default as torch is set.
    """

    arg_constraints = {"log_mean": constraints.real, "log_theta": constraints.real}  # noqa: RUF012
    support = constraints.independent(constraints.nonnegative_integer, 1)
    wrong_values = "no counts"
    advice = f"{COUNTS} (a negative binomial likelihood)"

    def __init__(self, log_mean: Tensor, log_theta: Tensor, validate_args: bool | None = None) -> None:
        self.log_mean, self.log_theta = log_mean, log_theta
        super().__init__("log_mean", validate_args)

    @property
    def mean(self) -> Tensor:
        """E x = exp η, `[*batch, P]`."""
        return self.log_mean.exp()

    @property
    def variance(self) -> Tensor:
        """Var x = μ + μ²/θ, `[*batch, P]`."""
        return self.mean + (2 * self.log_mean - self.log_theta).exp()

    def is_possible(self, value: Tensor) -> Tensor:
        """Which entries are counts."""
        return is_whole(value)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, P]`: Poisson counts whose rates are Gamma(θ) of mean μ."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            return draw_negative_binomial(self.log_mean.expand(shape), self.log_theta)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) in nats, `[*batch]`, for `value` broadcastable with the means.

        Raises:
            ValueError: if values are checked and one is no count.
        """
        if self._validate_args:
            self._validate_sample(value)
        constant = log_coefficient(value, self.log_theta).sum(-1).to(self.log_mean)
        return log_kernel(value, self.log_mean, self.log_theta).sum(-1) + constant


def log_kernel(count: Tensor, log_mean: Tensor, log_theta: Tensor) -> Tensor:
    """x a − (x + θ) log(1 + exp a) with a = η − log θ, entry by entry: what of log p depends on the mean."""
    theta = log_theta.exp()
    sign = torch.where(count > theta, -1.0, 1.0).to(log_mean)
    b = sign * (log_mean - log_theta)
    return torch.minimum(count, theta) * b - (count + theta) * functional.softplus(b, threshold=40.0)


def log_coefficient(count: Tensor, log_theta: Tensor) -> Tensor:
    """log [Γ(x + θ) / (Γ(θ) x!)] in 64 bits, differentiable in log θ, of the common shape of x and θ."""
    wide, theta = count.double(), log_theta.double().exp()
    return log_rising(theta, wide) - (wide + 1).lgamma()


def draw_negative_binomial(log_mean: Tensor, log_theta: Tensor) -> Tensor:
    """Counts of mean exp η `[*batch, P]`."""
    gamma = torch._standard_gamma(log_theta.exp().expand(log_mean.shape).contiguous())
    return torch.poisson(gamma * (log_mean - log_theta).exp())
