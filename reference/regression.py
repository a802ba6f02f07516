"""Bayesian linear regression, several responses on the same predictors, with the noise known or not."""

import math
from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import linear_gaussian, mean_field, same_anywhere, scattered
from elbowroom.reference.reference import Quality, Reference

NUM_ROWS = 12
PRIOR_SCALE = 2.0  # of the coefficients, in units of the noise where that is unknown
NOISE = 0.7
SHAPE, RATE = 2.0, 1.0  # of the prior of the precision


def regression(exact_guide: bool) -> Reference:
    """β ~ N(0, 4 I), y | β ~ N(X β, 0.7² I), three predictors."""
    design, y = _data(3)
    eye = torch.eye(3, dtype=torch.float64)
    exact = linear_gaussian(y, design, torch.full((NUM_ROWS,), NOISE**2, dtype=torch.float64), PRIOR_SCALE**2 * eye)
    to_mean, tril = exact.covariance @ design.T / NOISE**2, torch.linalg.cholesky(exact.covariance)
    scales, gap = mean_field(exact.covariance)

    def model(y: Tensor) -> None:
        with pyro.plate("data", len(y)):
            beta = pyro.sample("beta", dist.Normal(y.new_zeros(3), PRIOR_SCALE).to_event(1))
            pyro.sample("y", dist.Normal(beta @ design.T, NOISE).to_event(1), obs=y)

    def guide(y: Tensor) -> None:
        loc = y @ to_mean.T
        with pyro.plate("data", len(y)):
            if exact_guide:
                pyro.sample("beta", dist.MultivariateNormal(loc, scale_tril=tril))
            else:
                pyro.sample("beta", dist.Normal(loc, scales).to_event(1))

    return Reference(
        name="regression" if exact_guide else "regression-mean-field",
        model=model,
        guide=guide,
        args=(y,),
        log_evidence=exact.log_evidence,
        mean=exact.mean,
        sd=exact.sd,
        gap=(0 * gap if exact_guide else gap).expand(len(y)),
        guide_quality="exact" if exact_guide else "mediocre",
        accuracy=1e-12,
        provenance="closed form: p(y) = N(y; 0, 4 X Xᵀ + 0.7² I) (Bishop 2006, section 3.3)",
    )


def regression_unknown_noise(name: str, exact_guide: bool, quality: Quality) -> Reference:
    """λ ~ Gamma(2, 1), β | λ ~ N(0, 4/λ I), y | β, λ ~ N(X β, 1/λ I), two predictors: Normal–Gamma conjugacy."""
    design, y = _data(2)
    precision = torch.eye(2, dtype=torch.float64) / PRIOR_SCALE**2 + design.T @ design
    covariance = torch.linalg.inv(precision)
    to_mean, tril = covariance @ design.T, torch.linalg.cholesky(covariance)
    shape = SHAPE + NUM_ROWS / 2

    def rate_of(y: Tensor) -> Tensor:
        loc = y @ to_mean.T
        return RATE + (y.square().sum(-1) - ((loc @ precision) * loc).sum(-1)) / 2

    rate = rate_of(y)
    log_evidence = (
        -NUM_ROWS / 2 * math.log(2 * math.pi)
        + (covariance.logdet() - 2 * math.log(PRIOR_SCALE**2)) / 2
        + SHAPE * math.log(RATE)
        - shape * rate.log()
        + math.lgamma(shape)
        - math.lgamma(SHAPE)
    )
    unit = covariance.diagonal().sqrt()

    def model(y: Tensor) -> None:
        with pyro.plate("data", len(y)):
            precision = pyro.sample("precision", dist.Gamma(y.new_tensor(SHAPE), y.new_tensor(RATE)))
            sigma = precision.rsqrt().unsqueeze(-1)
            beta = pyro.sample("beta", dist.Normal(y.new_zeros(2), PRIOR_SCALE * sigma).to_event(1))
            pyro.sample("y", dist.Normal(beta @ design.T, sigma).to_event(1), obs=y)

    def guide(y: Tensor) -> None:
        rate, loc = rate_of(y), y @ to_mean.T
        with pyro.plate("data", len(y)):
            if exact_guide:
                precision = pyro.sample("precision", dist.Gamma(y.new_tensor(shape), rate))
                scaled = tril * precision.rsqrt().unsqueeze(-1).unsqueeze(-1)
                pyro.sample("beta", dist.MultivariateNormal(loc, scale_tril=scaled))
            else:
                spread = math.sqrt(math.log1p(1 / shape))
                pyro.sample("precision", dist.LogNormal((shape / rate).log() - spread**2 / 2, spread))
                sigma = (rate / (shape - 1)).sqrt().unsqueeze(-1)
                pyro.sample("beta", dist.Normal(loc, sigma * unit).to_event(1))

    return Reference(
        name=name,
        model=model,
        guide=guide,
        args=(y,),
        log_evidence=log_evidence,
        mean=torch.cat([(shape / rate).unsqueeze(1), y @ to_mean.T], 1),
        sd=torch.cat([(math.sqrt(shape) / rate).unsqueeze(1), (rate / (shape - 1)).sqrt().unsqueeze(1) * unit], 1),
        gap=torch.zeros_like(rate) if exact_guide else None,
        guide_quality=quality,
        accuracy=1e-12,
        provenance="closed form: Normal–Gamma conjugacy (Murphy 2007, section 3; Bishop 2006, exercise 3.23)",
        notes="" if exact_guide else "log-normal and normals with the posterior's own means and standard deviations",
    )


def _data(num_predictors: int) -> tuple[Tensor, Tensor]:
    """Predictors `[n, D]` and four responses `[B, n]`."""
    design = torch.cat(
        [torch.ones(NUM_ROWS, 1, dtype=torch.float64), scattered(NUM_ROWS, num_predictors - 1, phase=0.3)], 1
    )
    coefficients = scattered(4, num_predictors, phase=1.7)
    return design, same_anywhere(coefficients @ design.T + NOISE * scattered(4, NUM_ROWS, phase=2.9))


PROBLEMS: dict[str, Callable[[], Reference]] = {
    "regression": partial(regression, True),
    "regression-mean-field": partial(regression, False),
    "regression-unknown-noise": partial(regression_unknown_noise, "regression-unknown-noise", True, "exact"),
    "regression-unknown-noise-mean-field": partial(
        regression_unknown_noise, "regression-unknown-noise-mean-field", False, "mediocre"
    ),
}
