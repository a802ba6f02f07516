"""A Gaussian posterior with correlation ρ under the best factorised guide: gap −½ log(1 − ρ²)."""

import math
from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import real
from elbowroom.reference.reference import Quality, Reference

CORRELATIONS: dict[float, Quality] = {0.3: "good", 0.6: "mediocre", 0.9: "bad", 0.9999: "bad"}


def correlated_gaussian(rho: float) -> Reference:
    """z ~ N(0, 2Σ), x | z ~ N(z, 2Σ), Σ = [[1, ρ], [ρ, 1]], so that p(z | x) = N(x/2, Σ)."""
    covariance = real([1.0, rho], [rho, 1.0])
    tril = torch.linalg.cholesky(2 * covariance)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.MultivariateNormal(x.new_zeros(2), scale_tril=tril))
            pyro.sample("x", dist.MultivariateNormal(z, scale_tril=tril), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x / 2, math.sqrt(1 - rho * rho)).to_event(1))

    x = real([0.0, 0.0], [1.5, 1.0], [-2.0, 2.0], [3.0, -0.5], [-0.3, -2.4])
    return Reference(
        name=f"correlated-gaussian-{rho:g}",
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=torch.distributions.MultivariateNormal(x.new_zeros(2), 4 * covariance).log_prob(x),
        mean=x / 2,
        sd=torch.ones_like(x),
        gap=torch.full_like(x[:, 0], -0.5 * math.log(1 - rho * rho)),
        guide_quality=CORRELATIONS[rho],
        accuracy=1e-13,
        provenance="closed form: p(x) = N(x; 0, 4Σ); gap of the mean-field optimum: Bishop (2006), section 10.1.2",
        notes=f"importance weights have tail index ρ = {rho:g}, along the long axis",
    )


PROBLEMS: dict[str, Callable[[], Reference]] = {
    f"correlated-gaussian-{rho:g}": partial(correlated_gaussian, rho) for rho in CORRELATIONS
}
