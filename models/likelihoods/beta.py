"""Beta likelihood: vectors of numbers between 0 and 1, the ends excluded."""

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints

from elbowroom.models.likelihoods.likelihood import Likelihood, Size
from elbowroom.models.likelihoods.vector import Vector


class Beta(Likelihood):
    """x_p ~ Beta(α_p(z), β_p(z)), their logarithms from the decoder: numbers in (0, 1), such as proportions."""

    outputs = ("log_concentrations",)
    data = "unit"

    def forward(self, log_alpha: Tensor, log_beta: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return BetaVector(log_alpha, log_beta)


class BetaVector(Vector):
    """x in (0, 1)^P with independent entries, x_p ~ Beta(α_p, β_p).

        log p(x) = Σ_p (α_p − 1) log x_p + (β_p − 1) log(1 − x_p) − log B(α_p, β_p)

    A density: it has no limit as α + β grows, and at an end it may be infinite, so data of exactly 0 or 1 are refused.

    Args:
        log_alpha: log α, `[*batch, P]`.
        log_beta: log β, broadcastable with it.
        validate_args: check the parameters and the values; by default as torch is set.
    """

    arg_constraints = {"log_alpha": constraints.real, "log_beta": constraints.real}  # noqa: RUF012
    support = constraints.independent(constraints.unit_interval, 1)
    wrong_values = "not between 0 and 1"
    advice = (
        "expected numbers in (0, 1), the ends excluded, under a beta likelihood; move the ends inside, as in "
        "x.clamp(1e-3, 1 − 1e-3), or choose the likelihood 'continuous-bernoulli', which takes them"
    )

    def __init__(self, log_alpha: Tensor, log_beta: Tensor, validate_args: bool | None = None) -> None:
        self.log_alpha, self.log_beta = log_alpha, log_beta
        super().__init__("log_alpha", validate_args)

    @property
    def mean(self) -> Tensor:
        """E x = α / (α + β), `[*batch, P]`."""
        return torch.sigmoid(self.log_alpha - self.log_beta)

    @property
    def variance(self) -> Tensor:
        """Var x = m (1 − m) / (1 + α + β), m = E x, `[*batch, P]`."""
        total = self.log_alpha.exp() + self.log_beta.exp()
        return self.mean * torch.sigmoid(self.log_beta - self.log_alpha) / (1 + total)

    def is_possible(self, value: Tensor) -> Tensor:
        """Which entries lie between 0 and 1."""
        return (value > 0) & (value < 1)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, P]`, kept one rounding step away from the ends."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            concentrations = torch.stack(torch.broadcast_tensors(self.log_alpha, self.log_beta), -1).exp()
            draws = torch._sample_dirichlet(concentrations.expand(*shape, 2).contiguous())[..., 0]
            limits = torch.finfo(draws.dtype)
            return draws.clamp(limits.tiny, 1 - limits.eps)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) in nats (per unit of x), `[*batch]`, for `value` broadcastable with the parameters.

        Raises:
            ValueError: if values are checked and one is not between 0 and 1.
        """
        if self._validate_args:
            self._validate_sample(value)
        alpha, beta = self.log_alpha.exp(), self.log_beta.exp()
        log_norm = alpha.lgamma() + beta.lgamma() - (alpha + beta).lgamma()
        return ((alpha - 1) * value.log() + (beta - 1) * torch.log1p(-value) - log_norm).sum(-1)
