"""Two modes far apart with known weights, and guides that cover both or one."""

import math
from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import log_normal, mixture_moments, real
from elbowroom.reference.reference import Quality, Reference

WEIGHTS = real(0.1, 0.9)
CENTRES = real([-4.0, -4.0], [4.0, 4.0])
SPREAD = 0.5
NOISE = 6.0


def modes(name: str, kind: str, quality: Quality) -> Reference:
    """z ~ 0.1 N(−4, ½² I) + 0.9 N(4, ½² I) in the plane, x | z ~ N(z, 6² I): at x = 0 the weights stay 0.1 and 0.9.

    `kind` of guide: `"both"` modes with weights ½, only the `"large"` one, or only the `"small"` one.
    """

    def posterior(x: Tensor) -> tuple[Tensor, Tensor, float]:
        """Unnormalised log weights `[B, 2]`, means `[B, 2, D]` and the variance of the two normals."""
        prior, noise = SPREAD**2, NOISE**2
        log_weight = WEIGHTS.log() + log_normal(x.unsqueeze(1), CENTRES, prior + noise).sum(-1)
        return log_weight, (prior * x.unsqueeze(1) + noise * CENTRES) / (prior + noise), prior * noise / (prior + noise)

    def model(x: Tensor) -> None:
        components = dist.Normal(CENTRES, SPREAD).to_event(1)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.MixtureSameFamily(dist.Categorical(WEIGHTS), components))
            pyro.sample("x", dist.Normal(z, NOISE).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        _, means, variance = posterior(x)
        scale = 1.1 * math.sqrt(variance)
        with pyro.plate("data", len(x)):
            if kind == "both":
                half = dist.Categorical(torch.full_like(means[..., 0], 0.5))
                pyro.sample("z", dist.MixtureSameFamily(half, dist.Normal(means, scale).to_event(1)))
            else:
                pyro.sample("z", dist.Normal(means[..., 1 if kind == "large" else 0, :], scale).to_event(1))

    x = real([0.0, 0.0], [1.0, -1.0], [0.5, 1.5], [-2.0, -1.0])
    log_weight, means, variance = posterior(x)
    mean, sd = mixture_moments(log_weight.unsqueeze(1), means.mT, torch.full_like(means.mT, variance))
    missing = "; what it misses leaves no sign in the weights: log p̂ is low by minus the log of the weight it has"
    return Reference(
        name=name,
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=log_weight.logsumexp(1),
        mean=mean,
        sd=sd,
        guide_quality=quality,
        multimodal=True,
        accuracy=1e-13,
        provenance="closed form: p(x) = Σ_k π_k N(x; μ_k, (½² + 6²) I)",
        notes=f"the guide covers {'both modes' if kind == 'both' else f'the {kind} mode only{missing}'}",
    )


_KINDS: tuple[tuple[str, str, Quality], ...] = (
    ("modes", "both", "good"),
    ("modes-large", "large", "bad"),
    ("modes-small", "small", "bad"),
)
PROBLEMS: dict[str, Callable[[], Reference]] = {row[0]: partial(modes, *row) for row in _KINDS}
