"""Negative binomial likelihood: vectors of counts that vary more than a Poisson's."""

from collections.abc import Sequence
from typing import Any, Self

import pyro.distributions as dist
import torch
from torch import Tensor, distributions, nn
from torch.distributions import constraints
from torch.nn import functional

from elbowroom.entrances.values import check_size
from elbowroom.models.likelihoods.exposure import CountLikelihood, log_of_mean
from elbowroom.models.likelihoods.gamma import log_rising
from elbowroom.models.likelihoods.likelihood import Size
from elbowroom.models.likelihoods.poisson import COUNTS
from elbowroom.models.likelihoods.vector import Vector, is_whole
from elbowroom.networks.count_outputs import log_of_theta, negative_binomial_outputs, says_dispersion


class NegativeBinomial(CountLikelihood):
    """x_p ~ NB(mean exp(log_mean_p), inverse dispersion θ_p): counts of variance mean + mean²/θ_p.

    θ = exp(`log_theta`) is the same for every z, learned or given, or the decoder says it; as θ → ∞ the counts become
    Poisson. torch's `total_count` is θ, with its logits log μ − log θ; scvi's px_r is θ.

    Args:
        exposure: None, `"total"` or `"given"`: the means are those of a size, see `exposure.py`.
        data_dim: P, for a learned θ_p of each entry; None for one θ.
        theta: θ, one number or one for each entry, where it is known; None if it is learned.
    """

    outputs = negative_binomial_outputs()
    log_theta: Tensor | None

    def __init__(
        self,
        exposure: str | None = None,
        data_dim: int | None = None,
        theta: float | Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__(exposure)
        self.is_given = theta is not None
        if theta is None:
            shape = () if data_dim is None else (check_size("data_dim", data_dim),)
            self.log_theta = nn.Parameter(torch.zeros(shape))
        else:
            self.register_buffer("log_theta", _log_theta_given(theta))

    def forward(
        self, log_mean: Tensor, log_theta: Tensor | None = None, *, exposure: Tensor | None = None
    ) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`, of data of sizes `exposure [*batch]`."""
        return NegativeBinomialVector(self.log_mean(log_mean, exposure), self._dispersion(log_mean, log_theta))

    def of_object(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """(log μ, log θ) of a negative binomial of torch, Pyro or scvi, or of Pyro's `GammaPoisson`.

        Raises:
            ValueError: if the likelihood was given θ, too, or multiplies means by sizes.
        """
        parameters = self.said_by(p_x)
        if parameters is not None:
            self.check_own_mean(p_x)
            self.check_own_dispersion(f"a {type(p_x).__name__}")
            self.hearing(None)
        return parameters

    def said_by(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """The parameters that a distribution object of this kind has, in the order of `forward`; None of others."""
        return negative_binomial_parameters(p_x)

    def hearing(self, output: str | None) -> Self:
        """This, without a θ of its own if `output`, or what is returned, says θ."""
        if output is not None and says_dispersion(output):
            self.check_own_dispersion(f"output={output!r}")
        if not self.is_given and (output is None or says_dispersion(output)):
            self.log_theta = None
        return self

    def check_own_dispersion(self, said: str) -> None:
        """Raises ValueError if θ was given where the decoder says it."""
        if self.is_given:
            raise ValueError(f"theta: got a value, but the decoder says θ itself ({said}); leave one of them out")

    @property
    def unlearned(self) -> str:
        """That θ is what it starts from."""
        if self.is_given or self.log_theta is None or bool((self.log_theta.detach() != 0).any()):
            return ""
        return (
            "the inverse dispersion θ = 1 is what the likelihood starts from, and nothing has learned it for this "
            "decoder: give the trained one, likelihood_options={'theta': …}, or have the decoder return it beside the "
            "mean (output='mean_theta')"
        )

    def _dispersion(self, log_mean: Tensor, said: Tensor | None) -> Tensor:
        """log θ, the decoder's or the likelihood's own."""
        log_theta = self.log_theta if said is None else said
        if log_theta is None:
            raise ValueError(
                "theta: the decoder says means without an inverse dispersion θ; have it return both, or give "
                "likelihood_options={'theta': …}"
            )
        if log_theta.ndim and log_theta.shape[-1] not in (1, log_mean.shape[-1]):
            raise ValueError(
                f"theta: got {log_theta.shape[-1]} values, but the decoder says {log_mean.shape[-1]} means of a datum"
            )
        return log_theta


def negative_binomial_parameters(p_x: Any) -> tuple[Tensor, Tensor] | None:
    """(log μ, log θ) of a negative binomial object; None of others. No class of another library is imported."""
    if isinstance(p_x, distributions.NegativeBinomial):
        log_theta = p_x.total_count.log()
        return log_theta + p_x.logits, log_theta.expand(p_x.logits.shape)
    if isinstance(p_x, dist.GammaPoisson):
        log_theta = p_x.concentration.log()
        return log_theta - p_x.rate.log(), log_theta
    if type(p_x).__name__ == "NegativeBinomial" and hasattr(p_x, "mu") and hasattr(p_x, "theta"):  # scvi's
        return log_of_mean(p_x.mu), log_of_mean(p_x.theta).expand(p_x.mu.shape)
    return None


def _log_theta_given(theta: float | Sequence[float] | Tensor) -> Tensor:
    try:
        value = torch.as_tensor(theta).detach().to(torch.get_default_dtype())
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"theta: got {theta!r}, expected a positive number, or one for each entry") from None
    if value.ndim > 1 or not value.numel():
        raise ValueError(f"theta: got shape {tuple(value.shape)}, expected one number, or [P]")
    return log_of_theta("theta", value)


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
    theta = log_theta.exp().expand(log_mean.shape)
    gamma = torch.distributions.Gamma(theta, torch.ones_like(theta), validate_args=False).sample()
    return torch.poisson(gamma * (log_mean - log_theta).exp())
