"""A linear-Gaussian program whose posterior is known, and comparisons of it that tests of the report share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.inference import Comparison, Gates, Target, compare
from elbowroom.inference.diagnostics.marginals import from_draws
from toys.draws import draws_of, on_grid

NUM_CHAINS, NUM_DRAWS, SIZE = 4, 250, 4
DATA = [2, 0]  # compared, in this order


@dataclass(frozen=True)
class Toy:
    """z ~ N(0, I_D), x | z ~ N(W z, I), guide N(posterior mean + shift · d, s² d²), d² = 1 / diagonal precision.

    Attributes:
        target: the programs pinned to three data.
        x: those data, `[3, 4]`.
        comparison: of the data `DATA`, with independent draws of the exact posterior in place of MCMC.
        posterior: x `[B, 4]` to p(z|x).
    """

    target: Target
    x: Tensor
    comparison: Comparison
    posterior: Callable[[Tensor], dist.MultivariateNormal]


@cache
def toy(num_latents: int = 2, *, mcmc: bool = True, scale: float = 0.8, shift: float = 0.0) -> Toy:
    """The toy with so many latents; made once."""
    generator = torch.Generator().manual_seed(7)
    loadings = torch.randn(SIZE, num_latents, generator=generator, dtype=torch.float64)
    x = 2 * torch.randn(3, SIZE, generator=generator, dtype=torch.float64)
    precision = torch.eye(num_latents, dtype=torch.float64) + loadings.T @ loadings

    def posterior(x: Tensor) -> dist.MultivariateNormal:
        return dist.MultivariateNormal(x @ loadings @ torch.linalg.inv(precision), precision_matrix=precision)

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(num_latents), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ loadings.T, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            sd = precision.diagonal().rsqrt()
            pyro.sample("z", dist.Normal(posterior(x).mean + shift * sd, scale * sd).to_event(1))

    target = Target(model, guide, x)
    comparison = compare(target, DATA, num_samples=2000, mcmc=False)
    if mcmc:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            z = on_grid(posterior(x[DATA]).sample((NUM_CHAINS, NUM_DRAWS)))
        comparison = with_draws(comparison, z)
    return Toy(target, x, comparison, posterior)


def with_draws(comparison: Comparison, z: Tensor, gates: Gates | None = None) -> Comparison:
    """The comparison as if MCMC had drawn z `[chains, draws, data, N]`."""
    draws = draws_of({"z": z}, comparison.latents, gates=gates or Gates())
    return replace(comparison, draws=draws, posteriors=comparison.posteriors | {"nuts": from_draws(draws)})
