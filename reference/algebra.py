"""Closed forms that several problems share: linear Gaussian models, mixtures of normals, fixed numbers as data."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """Evidence and posterior of a linear Gaussian model."""

    log_evidence: Tensor  # [B]
    mean: Tensor  # [B, D]
    covariance: Tensor  # [D, D], or [B, D, D]

    @property
    def sd(self) -> Tensor:
        """Posterior standard deviations, `[B, D]`."""
        return self.covariance.diagonal(dim1=-2, dim2=-1).sqrt().expand_as(self.mean)


def linear_gaussian(y: Tensor, design: Tensor, noise_variance: Tensor, prior_covariance: Tensor) -> Gaussian:
    """z ~ N(0, P), y | z ~ N(A z, R): log N(y; 0, A P Aᵀ + R) and the posterior of z (Bishop 2006, section 2.3.3).

    Args:
        y: `[B, n]`.
        design: A, `[..., n, D]`; leading dims stand beside B.
        noise_variance: R, `[n]` for a diagonal one or `[n, n]`.
        prior_covariance: P, `[D, D]`.
    """
    noise = noise_variance.diag() if noise_variance.dim() == 1 else noise_variance
    marginal = design @ prior_covariance @ design.mT + noise
    log_evidence = torch.distributions.MultivariateNormal(torch.zeros_like(y), marginal).log_prob(y)
    gain = torch.linalg.solve(marginal, design @ prior_covariance).mT  # P Aᵀ (A P Aᵀ + R)⁻¹
    return Gaussian(
        log_evidence,
        (gain @ y.unsqueeze(-1)).squeeze(-1),
        prior_covariance - gain @ design @ prior_covariance,
    )


def mean_field(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The best factorised Gaussian for a Gaussian posterior: its scales `[D]`, and its gap KL(q ‖ p), nats.

    Variances 1/Λᵢᵢ with Λ the precision; the gap is ½ (Σ log Λᵢᵢ − log det Λ) (Bishop 2006, section 10.1.2).
    """
    precision = torch.linalg.inv(covariance)
    diagonal = precision.diagonal()
    return diagonal.rsqrt(), (diagonal.log().sum() - precision.logdet()) / 2


def mixture_moments(log_weights: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of mixtures of K normals, `[...]` each, from unnormalised log weights `[..., K]`."""
    weight = log_weights.softmax(-1)
    mean = (weight * means).sum(-1)
    return mean, ((weight * (variances + means.square())).sum(-1) - mean.square()).sqrt()


def log_normal(value: Tensor, mean: Tensor | float, variance: Tensor | float) -> Tensor:
    """log N(value; mean, variance), elementwise, nats."""
    variance = torch.as_tensor(variance, dtype=value.dtype)
    return -0.5 * ((value - mean).square() / variance + variance.log() + math.log(2 * math.pi))


def real(*numbers: object) -> Tensor:
    """Numbers, or lists of them, as a float64 tensor."""
    return torch.tensor(numbers, dtype=torch.float64)


def scattered(*shape: int, phase: float = 0.0) -> Tensor:
    """Fixed numbers of about unit variance and no pattern, the same on any machine: √2 sin(i^1.5 + phase)."""
    index = torch.arange(1, math.prod(shape) + 1, dtype=torch.float64)
    return same_anywhere(math.sqrt(2.0) * torch.sin(index**1.5 + phase)).reshape(shape)


def same_anywhere(data: Tensor) -> Tensor:
    """Data in multiples of 2⁻²⁰: processors compute sines and products that differ in the last bit.

    A datum's noise is a function of its bits, so that one which differs in any of them has other noise.
    """
    return (data * 2**20).round() / 2**20
