"""Discretised logistic likelihood: vectors of ordered levels 0 … K − 1, such as grey values."""

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import constraints
from torch.nn import functional

from elbowroom.models.likelihoods.categorical import check_levels
from elbowroom.models.likelihoods.likelihood import Likelihood, Size
from elbowroom.models.likelihoods.vector import Vector, is_whole, level_advice
from elbowroom.networks.outputs import named_outputs

_LEAST_LOG_SCALE = -20.0  # of a range of 2: below it the distribution is a step, whatever the scale


class DiscretisedLogistic(Likelihood):
    """P(x_p = k): a logistic distribution of mean m_p(z) and scale s_p(z), cut into levels k = 0 … K − 1.

    Salimans et al. (2017), "PixelCNN++", eq. 2, with one component: the levels fill [−1, 1], and the outermost ones
    have all that is beyond them.

    Args:
        levels: K.
    """

    outputs = named_outputs("mean_log_scale", "mean_scale")
    data = "levels"

    def __init__(self, levels: int | None = None) -> None:
        super().__init__()
        self.levels = check_levels("discretised-logistic", levels)

    def forward(self, mean: Tensor, log_scale: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`, for means and scales in units in which the levels fill [−1, 1]."""
        return DiscretisedLogisticVector(mean, log_scale.clamp_min(_LEAST_LOG_SCALE), self.levels)


class DiscretisedLogisticVector(Vector):
    """x in {0, …, K − 1}^P with independent entries, P(x = k) = F(e_{k+1}) − F(e_k), F(e) = sigmoid((e − m)/s).

    The edges are e_k = (2k − K)/(K − 1), midway between levels at −1 + 2k/(K − 1), but for e_0 = −∞ and e_K = ∞. With b
    and a the upper and lower edge less m, over s, and Δ = b − a = 2/((K − 1) s),

        log P(x = k) = −log(1 + exp −b) − log(1 + exp a) + log(1 − exp −Δ)

    without the terms of an edge at infinity: nothing cancels however far in a tail the level lies.

    Args:
        loc: m, `[*batch, P]`.
        log_scale: log s, broadcastable with m: `[]`, `[P]` or `[*batch, P]`.
        levels: K.
        validate_args: check the parameters and the values; by default as torch is set.
    """

    arg_constraints = {"loc": constraints.real, "log_scale": constraints.real}  # noqa: RUF012
    wrong_values = "no levels"

    def __init__(self, loc: Tensor, log_scale: Tensor, levels: int, validate_args: bool | None = None) -> None:
        self.loc, self.log_scale, self.levels = loc, log_scale, levels
        self.advice = level_advice(levels - 1, f"levels={levels}")
        super().__init__("loc", validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """{0, …, K − 1}^P."""
        return constraints.independent(constraints.integer_interval(0, self.levels - 1), 1)

    @property
    def mean(self) -> Tensor:
        """E x = Σ_{k ≥ 1} P(x ≥ k), `[*batch, P]`, in levels."""
        return self._beyond().sum(-1)

    @property
    def variance(self) -> Tensor:
        """Var x, `[*batch, P]`, in levels: E x² = Σ_{k ≥ 1} (2k − 1) P(x ≥ k)."""
        beyond = self._beyond()
        k = torch.arange(1, self.levels, dtype=beyond.dtype, device=beyond.device)
        return beyond @ (2 * k - 1) - beyond.sum(-1).square()

    def _beyond(self) -> Tensor:
        """P(x ≥ k) for k = 1 … K − 1, `[*batch, P, K − 1]`."""
        k = torch.arange(1, self.levels, dtype=self.loc.dtype, device=self.loc.device)
        distance = self.loc.unsqueeze(-1) - _lower_edge(k, self.levels)
        return torch.sigmoid(distance * torch.exp(-self.log_scale).unsqueeze(-1))

    def is_possible(self, value: Tensor) -> Tensor:
        """Which entries are levels."""
        return is_whole(value, self.levels - 1)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, P]`: logistic numbers, rounded to the nearest level."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            u = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
            logistic = self.loc + self.log_scale.exp() * torch.logit(u, eps=torch.finfo(u.dtype).tiny)
            return ((logistic + 1) * (self.levels - 1) / 2).round().clamp(0, self.levels - 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) in nats, `[*batch]`, for `value` broadcastable with the means.

        Raises:
            ValueError: if values are checked and one is no level.
        """
        if self._validate_args:
            self._validate_sample(value)
        has_lower, has_upper = (value > 0).to(self.loc), (value < self.levels - 1).to(self.loc)
        rate = torch.exp(-self.log_scale)  # 1/s
        a = (_lower_edge(value, self.levels) - self.loc) * rate
        b = (_lower_edge(value + 1, self.levels) - self.loc) * rate
        width = 2 / (self.levels - 1) * rate
        inside = torch.log(-torch.expm1(-width))
        below = has_upper * functional.softplus(-b, threshold=40.0)
        above = has_lower * functional.softplus(a, threshold=40.0)
        return (has_lower * has_upper * inside - below - above).sum(-1)


def _lower_edge(level: Tensor, levels: int) -> Tensor:
    """Where a level begins in the units in which all fill [−1, 1]."""
    return (2 * level - levels) / (levels - 1)
