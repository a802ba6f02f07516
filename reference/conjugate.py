"""Conjugate pairs on constrained latents: Gamma–Poisson, Beta–Binomial, Dirichlet–multinomial."""

import math
from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import real
from elbowroom.reference.reference import Reference

SHAPE, RATE = 2.0, 0.5  # of the Gamma prior
FIRST, SECOND, TRIALS = 1.5, 2.5, 20.0  # of the Beta prior, and the number of trials
CONCENTRATION = real(0.8, 1.5, 2.0, 3.0)
TRIES = 12
STRETCH = 0.85  # of the concentration of a guide of the posterior's own family


def gamma_poisson(exact_guide: bool) -> Reference:
    """λ ~ Gamma(2, ½), x | λ ~ Poisson(λ): p(x) is negative binomial, p(λ | x) = Gamma(2 + x, 3/2)."""
    x = real(0.0, 1.0, 3.0, 10.0, 40.0)
    shape, rate = SHAPE + x, RATE + 1
    log_evidence = (
        torch.lgamma(shape)
        - torch.lgamma(real(SHAPE))
        - torch.lgamma(x + 1)
        + SHAPE * real(RATE / rate).log()
        - x * real(rate).log()
    )

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            rate = pyro.sample("rate", dist.Gamma(torch.full_like(x, SHAPE), RATE))
            pyro.sample("x", dist.Poisson(rate), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            if exact_guide:
                pyro.sample("rate", dist.Gamma(SHAPE + x, RATE + 1))
            else:
                variance = torch.log1p(1 / (SHAPE + x))
                loc = ((SHAPE + x) / (RATE + 1)).log() - variance / 2
                pyro.sample("rate", dist.LogNormal(loc, variance.sqrt()))

    return Reference(
        name="gamma-poisson" if exact_guide else "gamma-poisson-log-normal",
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=log_evidence,
        mean=(shape / rate).unsqueeze(1),
        sd=(shape.sqrt() / rate).unsqueeze(1),
        gap=torch.zeros_like(x) if exact_guide else None,
        guide_quality="exact" if exact_guide else "mediocre",
        accuracy=1e-12,
        provenance="closed form: the negative binomial distribution (Gelman et al. 2013, section 2.6)",
        notes="" if exact_guide else "a log-normal with the posterior's moments: its tail at zero is too thin",
    )


def beta_binomial() -> Reference:
    """p ~ Beta(3/2, 5/2), x | p ~ Binomial(20, p): p(p | x) = Beta(3/2 + x, 5/2 + 20 − x)."""
    x = real(0.0, 3.0, 9.0, 20.0)
    first, second = FIRST + x, SECOND + TRIALS - x

    def log_beta(a: Tensor, b: Tensor) -> Tensor:
        return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)

    choose = -log_beta(x + 1, TRIALS - x + 1) - real(TRIALS + 1).log()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            p = pyro.sample("p", dist.Beta(torch.full_like(x, FIRST), SECOND))
            pyro.sample("x", dist.Binomial(x.new_tensor(TRIALS), p), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("p", dist.Beta(STRETCH * (FIRST + x), STRETCH * (SECOND + TRIALS - x)))

    total = first + second
    return Reference(
        name="beta-binomial",
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=choose + log_beta(first, second) - log_beta(real(FIRST), real(SECOND)),
        mean=(first / total).unsqueeze(1),
        sd=(first * second / (total + 1)).sqrt().div(total).unsqueeze(1),
        guide_quality="good",
        accuracy=1e-12,
        provenance="closed form: the beta-binomial distribution (Gelman et al. 2013, section 2.4)",
        notes="a Beta of the same mean with 0.85 of the posterior's concentration: bounded weights",
    )


def dirichlet_multinomial() -> Reference:
    """p ~ Dirichlet(α), x | p ~ Multinomial(12, p), four kinds: p(p | x) = Dirichlet(α + x)."""
    x = real([3.0, 0.0, 5.0, 4.0], [1.0, 7.0, 1.0, 3.0], [0.0, 0.0, 0.0, 12.0], [9.0, 0.0, 1.0, 2.0])
    posterior = CONCENTRATION + x
    total = posterior.sum(-1)
    prior_total = CONCENTRATION.sum()

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            p = pyro.sample("p", dist.Dirichlet(CONCENTRATION.to(x).expand(len(x), -1)))
            pyro.sample("x", dist.Multinomial(TRIES, p), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("p", dist.Dirichlet(STRETCH * (CONCENTRATION + x)))

    mean = posterior / total.unsqueeze(-1)
    return Reference(
        name="dirichlet-multinomial",
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=math.lgamma(TRIES + 1)
        + torch.lgamma(prior_total)
        - torch.lgamma(total)
        + (torch.lgamma(posterior) - torch.lgamma(CONCENTRATION) - torch.lgamma(x + 1)).sum(-1),
        mean=mean,
        sd=(mean * (1 - mean) / (total + 1).unsqueeze(-1)).sqrt(),
        guide_quality="good",
        accuracy=1e-12,
        provenance="closed form: the Dirichlet-multinomial distribution (Gelman et al. 2013, section 3.4)",
        notes="a Dirichlet of the same mean with 0.85 of the posterior's concentration: bounded weights",
    )


PROBLEMS: dict[str, Callable[[], Reference]] = {
    "gamma-poisson": partial(gamma_poisson, True),
    "gamma-poisson-log-normal": partial(gamma_poisson, False),
    "beta-binomial": beta_binomial,
    "dirichlet-multinomial": dirichlet_multinomial,
}
