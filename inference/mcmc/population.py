"""Weighted points: where the posterior is, before any chain has run, and how well a proposal covers it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.mixture import Mixture

NUM_POINTS = 512
"""Points that a proposal is fitted to."""


@dataclass(frozen=True)
class Population:
    """Points with weights p(x, T(u)) / q(u): `u` `[M, B, D]`, `log_w` `[M, B]` (−∞ where p or q is not a number)."""

    u: Tensor
    log_w: Tensor

    @property
    def ess(self) -> Tensor:
        """Effective number of points, `[B]`; zero where every weight is."""
        return 1 / self.log_w.softmax(0).square().sum(0).nan_to_num(torch.inf)

    def tempered(self, least: float) -> "Population":
        """Weights w^τ with the largest τ ≤ 1, for each datum, that leaves `least` points in effect.

        A proposal fitted to fewer points would be too narrow, and its own draws could not show it.
        """
        low, high = torch.zeros_like(self.log_w[0]), torch.ones_like(self.log_w[0])
        finite = torch.where(self.log_w.isneginf(), -1e30, self.log_w)
        for _ in range(24):
            middle = (low + high) / 2
            enough = 1 / (middle * finite).softmax(0).square().sum(0) >= least
            low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
        whole = self.ess >= least
        return Population(self.u, torch.where(whole, self.log_w, torch.where(low > 0, low * self.log_w, 0.0)))

    @property
    def acceptance(self) -> Tensor:
        """The acceptance probability of an independence move from these points' proposal at stationarity, `[B]`.

        Σ_i w̄_i (1/M) Σ_j min(1, w_j / w_i) = (1/M) Σ_ij min(w̄_i, w̄_j), with w̄ the normalised weights.
        """
        # In ascending order w̄_i is the smaller one of both its pairs with each that comes after it, and of its own.
        share = self.log_w.softmax(0).nan_to_num(0.0).sort(0).values
        num_points = len(share)
        larger = torch.arange(num_points - 1, -1, -1, dtype=share.dtype, device=share.device).unsqueeze(1)
        return (share * (2 * larger + 1)).sum(0) / num_points

    def joined(self, other: "Population") -> "Population":
        """Both samples of the same posterior mass, each counted by half."""
        sizes = [len(self.u), len(other.u)]
        logs = [p.log_w - torch.tensor(float(n)).log() for p, n in zip((self, other), sizes, strict=True)]
        return Population(torch.cat([self.u, other.u]), torch.cat(logs))

    def systematic(self, count: int, uniform: Tensor) -> Tensor:
        """Indices `[count, B]` in proportion to weights by systematic resampling with uniforms `[B]`, ascending.

        Where every weight is zero, all points in turn.
        """
        log_w = torch.where(self.log_w.isneginf().all(0), 0.0, self.log_w)
        cumulative = log_w.double().softmax(0).cumsum(0).T.contiguous()  # [B, M]
        ladder = torch.arange(count, dtype=torch.float64, device=uniform.device)
        wanted = (ladder + uniform.unsqueeze(-1)) / count  # [B, count]
        return torch.searchsorted(cumulative, wanted, right=True).clamp(max=len(log_w) - 1).T

    def resampled(self, count: int, uniform: Tensor) -> Tensor:
        """The points at `systematic` indices, `[count, B, D]`."""
        return self.at(self.systematic(count, uniform))

    def at(self, index: Tensor) -> Tensor:
        """The points at indices `[N, B]`, `[N, B, D]`."""
        return self.u.gather(0, index.unsqueeze(-1).expand(*index.shape, self.u.shape[-1]))

    def log_mean(self) -> tuple[Tensor, Tensor]:
        """log (1/M) Σ w and its standard error by the delta method, `[B]` each, nats."""
        log_w = self.log_w.double()
        value = log_w.logsumexp(0) - math.log(len(log_w))
        relative = (log_w - value).exp().nan_to_num(0.0)
        stderr = (relative.var(0) / len(log_w)).sqrt()
        return value, torch.where(value.isneginf(), torch.inf, stderr)


def from_guide(coordinates: Coordinates, count: int, seed: int) -> Population:
    """Draw from the guide and weigh the draws."""
    target = coordinates.target
    with torch.no_grad():
        z, log_q = target.propose(count, seed=seed)
        prior, likelihood = target.log_joint(z)
        return _clean(coordinates.unconstrain(z).to(target.dtype), (prior + likelihood - log_q).to(target.dtype))


def from_prior(coordinates: Coordinates, count: int, seed: int) -> Population:
    """Draw from the prior and weigh the draws."""
    target = coordinates.target
    with torch.no_grad():
        z = target.sample_prior(count, seed=seed)
        return _clean(coordinates.unconstrain(z).to(target.dtype), target.log_joint(z)[1].to(target.dtype))


def from_mixture(
    mixture: Mixture, numbers: RandomNumbers, name: str, count: int, log_joint: Callable[[Tensor], Tensor]
) -> Population:
    """Draw from a mixture and weigh the draws; `name` tells its random numbers from those of other uses."""
    dim = mixture.mean.shape[-1]
    u = mixture.sample(
        numbers.normal(f"{name}: normal", count, dim),
        numbers.uniform(f"{name}: component", count),
        numbers.uniform(f"{name}: width", count),
    )
    return _clean(u, (log_joint(u) - mixture.log_density(u)).to(u.dtype))


def _clean(u: Tensor, log_w: Tensor) -> Population:
    """A population in which points that are not finite have weight zero, and stand where the best one does."""
    good = u.isfinite().all(-1) & log_w.isfinite()
    log_w = torch.where(good, log_w, -torch.inf)
    index = log_w.argmax(0).expand(1, -1).unsqueeze(-1).expand(1, *u.shape[1:])
    best = u.gather(0, index).nan_to_num(0.0, 0.0, 0.0)
    return Population(torch.where(u.isfinite().all(-1, keepdim=True), u, best), log_w)
