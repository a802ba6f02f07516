"""Every public call that evaluates a target, small: the laws are tested for each entry of `ESTIMATORS`.

A new estimator, sampler or diagnostic is one entry here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom import inference
from elbowroom.inference import Draws, Gates, Target

Call = Callable[[Target, int, int | None], Any]
"""(target, seed, memory_bytes) to a result."""


FOREVER = 3600.0
"""Seconds: time decides nothing."""

ADAPTIVE = 1e-8
"""Of rounding that ends at the grid of mcmc/rounding.py, and of what a bracket makes of it: see docs/house.md."""


class Pixels:
    """x of 8 binary pixels, z ~ N(0, I): posteriors neither Gaussian nor factorised, decoded by a matrix product."""

    def __init__(self, num_latents: int = 2, dtype: torch.dtype = torch.float64, sites: Sequence[str] = ("z",)) -> None:
        self.sites = sites
        generator = torch.Generator().manual_seed(3)
        draw = {"generator": generator, "dtype": torch.float64}
        self.weight, self.bias = 1.5 * torch.randn(num_latents, 8, **draw), torch.randn(8, **draw)
        self.x = torch.empty(7, 8, dtype=torch.float64).uniform_(generator=generator)
        z = torch.randn(7, num_latents, **draw)
        self.x = (self.x < (z @ self.weight + self.bias).sigmoid()).to(dtype)
        self.weight, self.bias = self.weight.to(dtype), self.bias.to(dtype)

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            zeros = torch.zeros_like(self.weight[:, 0]).chunk(len(self.sites))
            parts = [
                pyro.sample(site, dist.Normal(at, 1.0).to_event(1)) for site, at in zip(self.sites, zeros, strict=True)
            ]
            z = torch.cat(parts, -1)
            pyro.sample("x", dist.Bernoulli(logits=z @ self.weight + self.bias).to_event(1), obs=x)

    def guide(self, x: Tensor) -> None:
        locs = ((x - 0.5) @ self.weight.T / 8).chunk(len(self.sites), -1)
        with pyro.plate("data", len(x)):
            for site, loc in zip(self.sites, locs, strict=True):
                pyro.sample(site, dist.Normal(loc, torch.full_like(loc, 0.7)).to_event(1))

    def target(self) -> Target:
        return Target(self.model, self.guide, self.x)

    def target_of_functions(self) -> Target:
        """The same densities as functions, which draw from the same numbers."""

        def loc(x: Tensor) -> Tensor:
            return (x - 0.5) @ self.weight.T / 8

        def log_joint(z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
            likelihood = dist.Bernoulli(logits=z @ self.weight + self.bias).log_prob(x)
            return dist.Normal(torch.zeros_like(z), 1.0).log_prob(z).sum(-1), likelihood.sum(-1)

        def sample(num_samples: int, x: Tensor) -> Tensor:
            return loc(x) + 0.7 * torch.randn(num_samples, len(x), len(self.weight), dtype=x.dtype)

        def sample_prior(num_samples: int, x: Tensor) -> Tensor:
            return torch.randn(num_samples, len(x), len(self.weight), dtype=x.dtype)

        def log_q(z: Tensor, x: Tensor) -> Tensor:
            return dist.Normal(loc(x), torch.full_like(z, 0.7)).log_prob(z).sum(-1)

        options: dict[str, Any] = {"dim": len(self.weight), "sample_prior": sample_prior}
        return Target.from_functions(sample, log_q, log_joint, self.x, **options)


@dataclass(frozen=True)
class Entry:
    """A public call and what the laws say of it.

    Attributes:
        call: runs it, at a size that takes a fraction of a second.
        read: what of its result the laws are about.
        num_latents, sites: of the target it is tried on.
        collective: it speaks of all data together: law 1 does not hold, but their order must not matter.
        random: another seed gives other numbers.
        cut: it has a byte budget.
        piece: samples of two data that a small budget holds.
        simulates: its answers are of data that it draws from the model.
        slow: it takes seconds.
        tolerance: how equal results must be where only the batch differs: rounding, and what chains make of it.
        scatter: how many times its own error a value scatters by. That of a bridge takes the draws it is given for the
            posterior's; here they are a stand-in's (with other ones float64, too, goes up to 4.7 errors in 25 seeds).
    """

    call: Call
    read: Callable[[Any], Any] = lambda result: result
    num_latents: int = 2
    sites: Sequence[str] = ("z",)
    collective: bool = False
    random: bool = True
    cut: bool = True
    piece: int = 100
    simulates: bool = False
    tolerance: float = 1e-9
    scatter: float = 1.0
    slow: bool = False

    def target(self, dtype: torch.dtype = torch.float64) -> Target:
        return Pixels(self.num_latents, dtype, self.sites).target()


def stand_in(target: Target, num_draws: int = 60) -> Draws:
    """Draws of the guide in the place of a sampler's, two chains: a function of each datum alone."""
    z = {name: v.unflatten(0, (2, -1)) for name, v in target.propose(2 * num_draws, seed=11)[0].items()}
    lp = sum(target.log_joint({name: v.flatten(0, 1) for name, v in z.items()})).unflatten(0, (2, -1))
    stats = {"diverging": torch.zeros(lp.shape, dtype=torch.bool), "lp": lp}
    info: Any = {"method": "hmc", "seconds": 0.0, "num_evaluations": lp[0, 0].long(), "num_warmup": 0, "seed": 11}
    return Draws(z, target.latent_names, stats, info, Gates(rhat=2.0, ess_per_chain=1.0))


def draws_of(draws: Draws) -> Any:
    """What the laws are about in draws: values, statistics and how they fared."""
    return draws.z, draws.stats, draws.info, draws.convergence


def comparison_of(comparison: inference.Comparison) -> dict[str, Any]:
    """What the laws are about in a comparison: all but which rows of the target were compared."""
    return {name: value for name, value in vars(comparison).items() if name != "data"}


def parts_of(audit: inference.Audit) -> Any:
    """What the laws are about in an audit: the bracket of all data, and the numbers behind its sentences."""
    return audit.bracket, audit.numbers


def _versus(target: Target, seed: int, memory_bytes: int | None) -> inference.Versus:
    """Against itself, with other random numbers."""
    return inference.versus(target, target, budget=FOREVER, seed=seed, memory_bytes=memory_bytes)


def bridge_by(proposal: str) -> Call:
    return lambda t, seed, memory: inference.bridge(t, stand_in(t), proposal=proposal, seed=seed, memory_bytes=memory)


def _bracket(target: Target, seed: int, memory: int | None) -> Any:
    return inference.bracket(target, budget=FOREVER, tolerance=2.0, seed=seed, memory_bytes=memory)


def _audit(target: Target, seed: int, memory: int | None) -> Any:
    return inference.audit_target(target, budget=300.0, num_simulations=20, seed=seed, memory_bytes=memory)


def _audit_programs(target: Target, seed: int, memory: int | None) -> Any:
    model, guide, args = target.model, target.guide, target.args
    return inference.audit(model, guide, *args, budget=300.0, num_simulations=20, seed=seed, memory_bytes=memory)


def _explore(target: Target, seed: int, memory: int | None) -> Any:
    return inference.explore(target, budget=300.0, seed=seed, memory_bytes=memory)


def explored(exploration: inference.Exploration) -> Any:
    """What the laws are about in an exploration: the map, and what is around each datum, in the order of the data."""
    views = sorted(exploration.views, key=lambda view: view.datum)
    around = {
        name: torch.stack([getattr(view, name) for view in views])
        for name in ("log_joint", "log_prior", "log_q", "guide", "code")
    }
    return exploration.codes, {name: column.values for name, column in exploration.columns.items()}, around


ANNEALED: dict[str, Any] = {"num_steps": 12, "num_chains": 6, "num_pilot": 4}

ESTIMATORS: dict[str, Entry] = {
    "importance": Entry(
        lambda t, seed, memory: inference.importance(
            t, num_samples=200, num_particles=[1, 7], seed=seed, memory_bytes=memory
        )
    ),
    "bounds": Entry(
        lambda t, seed, memory: inference.bounds(
            t, num_samples=200, num_particles=[1, 7], draws=stand_in(t), seed=seed, memory_bytes=memory
        )
    ),
    "quadrature": Entry(
        lambda t, seed, memory: inference.quadrature(t, tolerance=1e-4, memory_bytes=memory), random=False
    ),
    "anneal": Entry(
        lambda t, seed, memory: inference.anneal(t, seed=seed, memory_bytes=memory, search=False, **ANNEALED),
        piece=16,
    ),
    "anneal from the prior": Entry(
        lambda t, seed, memory: inference.anneal(t, start="prior", seed=seed, memory_bytes=memory, **ANNEALED),
        piece=16,
    ),
    "anneal_reverse": Entry(
        lambda t, seed, memory: inference.anneal_reverse(
            t, stand_in(t), num_refresh=2, allow_failed=True, seed=seed, memory_bytes=memory, **ANNEALED
        ),
        piece=16,
    ),
    "bidirectional": Entry(
        lambda t, seed, memory: inference.bidirectional(t, num_refresh=2, seed=seed, memory_bytes=memory, **ANNEALED),
        simulates=True,
        piece=16,
    ),
    "smc": Entry(
        lambda t, seed, memory: inference.smc(
            t, num_particles=8, num_runs=3, num_steps=12, num_pilot=4, seed=seed, memory_bytes=memory, search=False
        ),
        piece=32,
    ),
    **{
        f"bridge by the {proposal}": Entry(bridge_by(proposal), scatter=1.5)
        for proposal in ("mixture", "gaussian", "guide")
    },
    "adapted_importance": Entry(
        lambda t, seed, memory: inference.adapted_importance(
            t, stand_in(t), num_samples=200, seed=seed, memory_bytes=memory
        )
    ),
    "bracket": Entry(_bracket, num_latents=3, piece=1000, tolerance=ADAPTIVE),
    "bracket on a lattice": Entry(_bracket, piece=1000),
    "versus": Entry(_versus, lambda found: (found.brackets, found.elbos), piece=1000),
    "hmc": Entry(
        lambda t, seed, memory: inference.hmc(t, num_warmup=30, num_draws=40, seed=seed, memory_bytes=memory),
        draws_of,
        tolerance=ADAPTIVE,
    ),
    "hmc without jumps": Entry(
        lambda t, seed, memory: inference.hmc(
            t, num_warmup=8, num_draws=8, jumps=False, start="prior", seed=seed, memory_bytes=memory
        ),
        draws_of,
        tolerance=ADAPTIVE,
    ),
    "nuts": Entry(
        lambda t, seed, memory: inference.nuts(t, num_chains=1, num_warmup=5, num_draws=5, seed=seed),
        draws_of,
        cut=False,
        tolerance=ADAPTIVE,
    ),
    "decompose": Entry(
        lambda t, seed, memory: inference.decompose(
            t, families=["mean-field", "mixture"], num_samples=32, seed=seed, memory_bytes=memory
        ),
        piece=600,
    ),
    "attribute_sites": Entry(
        lambda t, seed, memory: inference.attribute_sites(t, num_outer=8, num_inner=16, seed=seed, memory_bytes=memory),
        piece=300,
    ),
    "agreement": Entry(
        lambda t, seed, memory: inference.agreement(t, stand_in(t), num_samples=200, seed=seed, memory_bytes=memory)
    ),
    "compare": Entry(
        lambda t, seed, memory: inference.compare(t, num_samples=200, mcmc=False, seed=seed), comparison_of, cut=False
    ),
    "calibrate": Entry(
        lambda t, seed, memory: inference.calibrate(
            t, num_simulations=30, num_draws=20, seed=seed, memory_bytes=memory
        ),
        collective=True,
    ),
    "calibrate around data": Entry(
        lambda t, seed, memory: inference.calibrate(
            t, num_simulations=30, num_draws=20, kind="posterior", draws=stand_in(t), seed=seed, memory_bytes=memory
        ),
        collective=True,
    ),
    "latent_use": Entry(
        lambda t, seed, memory: inference.latent_use(t, num_samples=200, seed=seed, memory_bytes=memory),
        collective=True,
    ),
    "explore": Entry(_explore, explored, collective=True, tolerance=1e-6, slow=True),
    "audit": Entry(_audit_programs, parts_of, collective=True, tolerance=1e-6, slow=True),
    "audit_target": Entry(_audit, parts_of, collective=True, tolerance=1e-6, slow=True),
}
"""Calls by name; the name up to the first space is the public one."""

FIRST = {name.split()[0]: name for name in reversed(ESTIMATORS)}
"""Of the entries of one public name, the first: what takes long is quickly tried on it alone."""
