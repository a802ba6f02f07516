"""Errors of means, standard deviations and correlations, and posterior mass outside q's intervals."""

import math
from typing import NamedTuple

import torch
from scipy import stats
from torch import Tensor

from elbowroom.inference.diagnostics.agreement.sides import Sides, scale_of, share, sorted_quantiles
from elbowroom.inference.evidence.quadrature.quadrature import QuadratureInfo
from elbowroom.inference.mcmc.convergence import Convergence


class Moments(NamedTuple):
    """What one side says of B data with N latents.

    Attributes:
        mean, sd: `[B, N]`; `mean_stderr`, `sd_stderr`: their errors.
        correlation: `[B, N, N]`; `correlation_variance`: the variance of its noise.
    """

    mean: Tensor
    sd: Tensor
    mean_stderr: Tensor
    sd_stderr: Tensor
    correlation: Tensor
    correlation_variance: Tensor


def of_guide(q: Tensor, varying: Tensor) -> Moments:
    """Return the moments of S independent draws `[S, B, N]`; Var sd = (κ − 1) sd² / 4S with κ the kurtosis."""
    mean, sd = q.mean(0), scale_of(q.std(0), varying)
    scaled = (q - mean) / sd
    kurtosis = scaled.pow(4).mean(0)
    size = math.sqrt(len(q))
    return Moments(
        mean,
        sd,
        sd / size,
        sd * (kurtosis - 1).clamp_min(0).sqrt() / (2 * size),
        *_correlation(scaled, torch.full_like(mean, len(q))),
    )


def of_draws(p: Tensor, convergence: Convergence, index: slice, varying: Tensor) -> Moments:
    """Return the moments of chains `[C, T, B, N]`, with the Monte Carlo errors that their diagnostics give."""
    z = p.flatten(0, 1)
    mean, sd = z.mean(0), scale_of(z.std(0), varying)
    scaled = (z - mean) / sd
    # What the error of the sd was made of: products of latents forget as fast as squares do.
    ess = (scaled.pow(4).mean(0) - 1) / (2 * convergence.mcse_sd[index] / sd).square()
    correlation = _correlation(scaled, ess)
    return Moments(mean, sd, convergence.mcse_mean[index], convergence.mcse_sd[index], *correlation)


def of_quadrature(info: QuadratureInfo, index: slice, varying: Tensor) -> Moments:
    """Return the moments of an exact posterior."""
    mean, sd = info["mean"][index], scale_of(info["sd"][index], varying)
    none = torch.zeros_like(mean)
    correlation = info["covariance"][index] / (sd.unsqueeze(-1) * sd.unsqueeze(-2))
    return Moments(mean, sd, none, none, correlation, torch.zeros_like(correlation))


def moment_errors(q: Moments, p: Moments) -> dict[str, Tensor]:
    """Errors of q in posterior sds and nats' worth of log sd, with standard errors by the delta method."""
    mean_error = (q.mean - p.mean) / p.sd
    relative = p.sd_stderr / p.sd
    difference, floor = _correlation_error(q, p)
    return {
        "mean_error": mean_error,
        "mean_error_stderr": (
            (q.mean_stderr.square() + p.mean_stderr.square()) / p.sd.square() + (mean_error * relative).square()
        ).sqrt(),
        "log_sd_ratio": (q.sd / p.sd).log(),
        "log_sd_ratio_stderr": ((q.sd_stderr / q.sd).square() + relative.square()).sqrt(),
        "correlation_error": difference,
        "correlation_error_floor": floor,
    }


def tail_mass(sides: Sides, central: float, ess: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior probability outside q's central interval of each latent, and its standard error, `[B, N]` each.

    The ends are quantiles of S draws of q, whose noise moves mass too: by a variance of α (1 − α)/S for an interval of
    mass 1 − α, times the square of p/q at the ends, which is read off the bands of q-mass α/4 on both sides of them.

    Args:
        sides: draws of both.
        central: probability of the interval under q.
        ess: effective number of posterior draws where the share itself shows none, `[B, N]`.
    """
    alpha = 1 - central
    levels = torch.tensor([alpha / 4, alpha / 2, 3 * alpha / 4], dtype=torch.float64)
    below, low, inside, beneath, high, above = sorted_quantiles(sides.q_sorted, torch.cat([levels, 1 - levels.flip(0)]))
    p = sides.p
    mass, stderr = share((p < low) | (p > high), ess)
    band = ((p > below) & (p < inside)) | ((p > beneath) & (p < above))
    ratio = band.double().mean((0, 1)) / alpha
    return mass, (stderr.square() + alpha * (1 - alpha) / len(sides.q) * ratio.square()).sqrt()


def _correlation(scaled: Tensor, ess: Tensor) -> tuple[Tensor, Tensor]:
    """Correlations of scaled draws `[S, B, N]`, and the variance of their noise, `[B, N, N]` each.

    The influence of a draw on ρ is z_i z_j − ρ (z_i² + z_j²)/2; for a normal its variance is (1 − ρ²)².
    """

    def moment(a: int, b: int) -> Tensor:
        return torch.einsum("sbi,sbj->bij", scaled.pow(a), scaled.pow(b)) / len(scaled)

    rho, even, odd = moment(1, 1), moment(2, 2), moment(3, 1)
    fourth = even.diagonal(dim1=-2, dim2=-1)
    squares = (fourth.unsqueeze(-1) + fourth.unsqueeze(-2) + 2 * even) / 4
    variance = even - rho * (odd + odd.mT) + rho.square() * squares
    return rho, variance.clamp_min(0) / torch.minimum(ess.unsqueeze(-1), ess.unsqueeze(-2))


def _correlation_error(q: Moments, p: Moments) -> tuple[Tensor, Tensor]:
    """The largest difference of a correlation, and what the largest of as many noises is on average, `[B]` each.

    The mean of the largest |Z| of M independent standard normals is close to the quantile of |Z| at exp(−e^(−γ)/M), γ
    Euler's constant (the mean of Gumbel's limit; within 1 % for M = 1). Noises are given the size of the largest.
    """
    num_data, num_latents = q.mean.shape
    if num_latents < 2:
        return q.mean.new_zeros(num_data), q.mean.new_zeros(num_data)
    i, j = torch.triu_indices(num_latents, num_latents, 1)
    level = math.exp(-math.exp(-0.5772156649015329) / len(i))
    largest = float(stats.norm.ppf((1 + level) / 2))
    noise = (q.correlation_variance + p.correlation_variance)[:, i, j].sqrt().amax(1)
    return (q.correlation - p.correlation)[:, i, j].abs().amax(1), largest * noise
