"""Probabilistic PCA: x = W z + σ ε, linear Gaussian, with its exact posterior, a factorised and a widened guide."""

from collections.abc import Callable
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import linear_gaussian, mean_field, same_anywhere, scattered
from elbowroom.reference.reference import Quality, Reference

SIGMA = 0.8


def ppca(name: str, num_pixels: int, num_latents: int, kind: str, quality: Quality) -> Reference:
    """z ~ N(0, I), x | z ~ N(W z, σ² I); `kind` of guide: `"exact"`, `"mean-field"` or `"wide"` (1.2 times as wide)."""
    weight = scattered(num_pixels, num_latents) / num_latents**0.5
    x = same_anywhere(scattered(6, num_latents, phase=1.0) @ weight.T + SIGMA * scattered(6, num_pixels, phase=2.0))
    eye = torch.eye(num_latents, dtype=torch.float64)
    exact = linear_gaussian(x, weight, torch.full((num_pixels,), SIGMA**2, dtype=torch.float64), eye)
    to_mean = exact.covariance @ weight.T / SIGMA**2  # E[z | x] = to_mean x
    tril = torch.linalg.cholesky(exact.covariance)
    scales, factorised_gap = mean_field(exact.covariance)
    wide = 1.2
    gap = {
        "exact": torch.zeros((), dtype=torch.float64),
        "mean-field": factorised_gap,
        "wide": num_latents * ((wide**2 - 1) / 2 - torch.tensor(wide, dtype=torch.float64).log()),
    }[kind]

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(num_latents), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ weight.T, SIGMA).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        loc = x @ to_mean.T
        with pyro.plate("data", len(x)):
            if kind == "mean-field":
                pyro.sample("z", dist.Normal(loc, scales).to_event(1))
            else:
                pyro.sample("z", dist.MultivariateNormal(loc, scale_tril=tril * (wide if kind == "wide" else 1.0)))

    return Reference(
        name=name,
        model=model,
        guide=guide,
        args=(x,),
        log_evidence=exact.log_evidence,
        mean=exact.mean,
        sd=exact.sd,
        gap=gap.expand(len(x)),
        guide_quality=quality,
        accuracy=1e-11,
        provenance="closed form: p(x) = N(x; 0, W Wᵀ + σ² I) (Tipping & Bishop 1999)",
    )


_KINDS: tuple[tuple[str, int, int, str, Quality], ...] = (
    ("ppca", 8, 3, "exact", "exact"),
    ("ppca-mean-field", 8, 3, "mean-field", "mediocre"),
    ("ppca-10", 30, 10, "exact", "exact"),
    ("ppca-10-wide", 30, 10, "wide", "good"),
)
PROBLEMS: dict[str, Callable[[], Reference]] = {row[0]: partial(ppca, *row) for row in _KINDS}
