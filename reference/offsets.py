"""Many modes with known weights: the datum is the latent plus an offset, and nobody knows which of K it was."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.reference.algebra import log_normal, mixture_moments, real, same_anywhere, scattered
from elbowroom.reference.reference import Quality, Reference


@dataclass(frozen=True)
class Offsets:
    """z ~ N(0, s² I), x | z ~ Σ_k w_k N(z + a_k, σ² I): the posterior is a mixture of K normals.

    Attributes:
        weights: w, `[K]`.
        offsets: a, `[K, D]`; at x = 0 the modes lie at −a_k s² / (s² + σ²).
        spread, noise: s and σ.
    """

    weights: Tensor
    offsets: Tensor
    spread: float = 2.0
    noise: float = 0.5

    @property
    def shrink(self) -> float:
        return self.spread**2 / (self.spread**2 + self.noise**2)

    @property
    def sd(self) -> float:
        """Standard deviation of each mode."""
        return self.noise * math.sqrt(self.shrink)

    def log_weights(self, x: Tensor) -> Tensor:
        """log w_k N(x; a_k, (s² + σ²) I), whose sum is log p(x), `[B, K]`."""
        variance = self.spread**2 + self.noise**2
        return self.weights.log() + log_normal(x.unsqueeze(-2), self.offsets, variance).sum(-1)

    def means(self, x: Tensor) -> Tensor:
        """Of the modes, `[B, K, D]`."""
        return self.shrink * (x.unsqueeze(-2) - self.offsets)

    def model(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros_like(x), self.spread).to_event(1))
            shifted = dist.Normal(z.unsqueeze(-2) + self.offsets, self.noise).to_event(1)
            pyro.sample("x", dist.MixtureSameFamily(dist.Categorical(self.weights), shifted), obs=x)

    def one_mode(self, x: Tensor, k: int) -> None:
        """The exact posterior of one mode."""
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(self.means(x)[..., k, :], self.sd).to_event(1))

    def wide(self, x: Tensor) -> None:
        """One normal as wide as the prior."""
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros_like(x), self.spread).to_event(1))


def two_modes(dim: int) -> Offsets:
    """Modes at ∓(3, …, 3), about 12 √D standard deviations apart, of weights 0.1 and 0.9."""
    return Offsets(real(0.1, 0.9), torch.stack([torch.full((dim,), c, dtype=torch.float64) for c in (3.0, -3.0)]))


def twenty_modes(dim: int) -> Offsets:
    """Twenty modes scattered as widely as the prior, of weights 1/20."""
    return Offsets(torch.full((20,), 0.05, dtype=torch.float64), 2.5 * scattered(20, dim, phase=0.9), noise=0.25)


def forty_modes() -> Offsets:
    """Forty modes of standard deviation 1, their centres uniform in [−40, 40]² from a fixed seed."""
    uniform = torch.rand(40, 2, generator=torch.Generator().manual_seed(40), dtype=torch.float64)
    return Offsets(torch.full((40,), 1 / 40, dtype=torch.float64), same_anywhere(80 * uniform - 40), 25.0, 1.0)


_AFTER = "; after the mixture of 40 Gaussians of Blessing et al. (2024), with centres of its own"


def problem(name: str, make: Callable[[], Offsets], mode: int | None, quality: Quality, notes: str) -> Reference:
    """Two data: x = 0 and one near it. `mode`: where the guide is; None for a guide as wide as the prior."""
    offsets = make()
    x = 0.1 * scattered(2, offsets.offsets.shape[1], phase=0.2)
    x = same_anywhere(torch.cat([torch.zeros_like(x[:1]), x[1:]]))
    log_weights, means = offsets.log_weights(x), offsets.means(x)
    mean, sd = mixture_moments(log_weights.unsqueeze(1), means.mT, torch.full_like(means.mT, offsets.sd**2))
    guide = offsets.wide if mode is None else partial(offsets.one_mode, k=mode)
    return Reference(
        name=name,
        model=offsets.model,
        guide=guide,
        args=(x,),
        log_evidence=log_weights.logsumexp(1),
        mean=mean,
        sd=sd,
        guide_quality=quality,
        multimodal=True,
        accuracy=1e-12,
        provenance="closed form: p(x) = Σ_k w_k N(x; a_k, (s² + σ²) I)" + (_AFTER if mode is None else ""),
        notes=notes,
    )


_SILENT = "the guide is the posterior of one mode: log p̂ is low by minus the log of its weight, without a sign"
PROBLEMS: dict[str, Callable[[], Reference]] = {
    "mog-40": partial(
        problem, "mog-40", forty_modes, None, "mediocre", "the guide is the prior: few of its draws meet a mode"
    )
}
for _dim in (2, 4, 10):
    for _name, _make, _mode in (
        (f"two-modes-{_dim}-small", two_modes, 0),
        (f"two-modes-{_dim}-large", two_modes, 1),
        (f"twenty-modes-{_dim}", twenty_modes, 3),
    ):
        PROBLEMS[_name] = partial(problem, _name, partial(_make, _dim), _mode, "bad", _SILENT)
