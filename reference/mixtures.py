"""Mixtures whose discrete latents the guide leaves to be summed out: one site, several, and nothing else."""

from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import log_normal, mixture_moments, real
from elbowroom.reference.reference import Reference

WEIGHTS = real(0.2, 0.5, 0.3)
LOCS = real(-3.0, 0.0, 4.0)
SCALES = real(0.5, 1.0, 0.7)
SHIFT_WEIGHTS = real(0.6, 0.4)
SHIFTS = real(0.0, 3.0)
NOISES = real(1.0, 0.6)


Posterior = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""x `[B]` to unnormalised log weights, means and variances of a mixture of M normals, `[B, M]` each."""


def mixture(exact_guide: bool) -> Reference:
    """k ~ Categorical(π), z | k ~ N(μ_k, τ_k²), x | z ~ N(z, 1)."""

    def posterior(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        prior, marginal = SCALES.square(), SCALES.square() + 1
        log_weight = WEIGHTS.log() + log_normal(x.unsqueeze(1), LOCS, marginal)
        return log_weight, (prior * x.unsqueeze(1) + LOCS) / marginal, (prior / marginal).expand_as(log_weight)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(WEIGHTS))
            z = pyro.sample("z", dist.Normal(LOCS[k], SCALES[k]))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    provenance = "closed form: p(x) = Σ_k π_k N(x; μ_k, τ_k² + 1)"
    return _reference("mixture", model, posterior, real(-4.0, -1.6, 0.3, 1.9, 2.6, 5.5), exact_guide, provenance)


def mixture_two_sites(exact_guide: bool) -> Reference:
    """k, j independent, z | k ~ N(μ_k, τ_k²), x | z, j ~ N(z + b_j, σ_j²): six terms, found by summing over both."""

    def posterior(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        prior, noise, locs = SCALES.square().unsqueeze(1), NOISES.square(), LOCS.unsqueeze(1)  # [K, 1], [J], [K, 1]
        centred = (x.unsqueeze(1) - SHIFTS).unsqueeze(1)  # [B, 1, J]
        log_prior = (WEIGHTS.unsqueeze(1) * SHIFT_WEIGHTS).log()
        log_weight = log_prior + log_normal(centred, locs, prior + noise)
        mean = (prior * centred + noise * locs) / (prior + noise)
        return log_weight.flatten(1), mean.flatten(1), (prior * noise / (prior + noise)).expand_as(mean).flatten(1)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(WEIGHTS))
            j = pyro.sample("j", dist.Categorical(SHIFT_WEIGHTS))
            z = pyro.sample("z", dist.Normal(LOCS[k], SCALES[k]))
            pyro.sample("x", dist.Normal(z + SHIFTS[j], NOISES[j]), obs=x)

    provenance = "closed form: p(x) = Σ_kj π_k ρ_j N(x; μ_k + b_j, τ_k² + σ_j²)"
    x = real(-3.5, -0.5, 0.8, 2.4, 4.1, 7.0)
    return _reference("mixture-two-sites", model, posterior, x, exact_guide, provenance)


def mixture_discrete() -> Reference:
    """No continuous latent at all: x | k, j ~ N(μ_k + b_j, σ_j²), and nothing is left to sample."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            k = pyro.sample("k", dist.Categorical(WEIGHTS))
            j = pyro.sample("j", dist.Categorical(SHIFT_WEIGHTS))
            pyro.sample("x", dist.Normal(LOCS[k] + SHIFTS[j], NOISES[j]), obs=x)

    def guide(x: Tensor) -> None:
        """Nothing: both sites are summed out."""

    x = real(-3.5, -0.5, 0.8, 2.4, 4.1, 7.0)
    locs = LOCS.unsqueeze(1) + SHIFTS  # [K, J]
    terms = (WEIGHTS.unsqueeze(1) * SHIFT_WEIGHTS).log() + log_normal(x[:, None, None], locs, NOISES.square())
    return Reference(
        name="mixture-discrete",
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=terms.flatten(1).logsumexp(1),
        mean=torch.zeros(len(x), 0, dtype=torch.float64),
        sd=torch.zeros(len(x), 0, dtype=torch.float64),
        gap=torch.zeros(len(x), dtype=torch.float64),
        guide_quality="exact",
        accuracy=1e-13,
        provenance="closed form: p(x) = Σ_kj π_k ρ_j N(x; μ_k + b_j, σ_j²)",
        notes="no latent is left to the guide: N = 0",
    )


def _reference(
    name: str, model: Callable[[Tensor], None], posterior: Posterior, x: Tensor, exact_guide: bool, provenance: str
) -> Reference:
    def mixed(x: Tensor) -> None:
        log_weight, means, variances = posterior(x)
        with pyro.plate("data", len(x)):
            which = dist.Categorical(logits=log_weight)
            pyro.sample("z", dist.MixtureSameFamily(which, dist.Normal(means, variances.sqrt())))

    def one_normal(x: Tensor) -> None:
        mean, sd = mixture_moments(*posterior(x))
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(mean, sd))

    log_weight, means, variances = posterior(x)
    mean, sd = mixture_moments(log_weight, means, variances)
    return Reference(
        name=name if exact_guide else f"{name}-one-normal",
        model=model,
        guide=mixed if exact_guide else one_normal,
        args=(x,),
        log_evidence=log_weight.logsumexp(1),
        mean=mean.unsqueeze(1),
        sd=sd.unsqueeze(1),
        gap=torch.zeros_like(x) if exact_guide else None,
        guide_quality="exact" if exact_guide else "bad",
        multimodal=True,
        accuracy=1e-13,
        provenance=provenance,
        notes="" if exact_guide else "one normal with the posterior's mean and standard deviation",
    )


PROBLEMS: dict[str, Callable[[], Reference]] = {
    "mixture": partial(mixture, True),
    "mixture-one-normal": partial(mixture, False),
    "mixture-two-sites": partial(mixture_two_sites, True),
    "mixture-two-sites-one-normal": partial(mixture_two_sites, False),
    "mixture-discrete": mixture_discrete,
}
