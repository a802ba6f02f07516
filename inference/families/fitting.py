"""Each datum's best member of a family, all data in one batch: stochastic natural-gradient steps."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.quasi_random import quasi_normals
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.families.expectation import Density, Drawn, draw
from elbowroom.inference.families.family import Family
from elbowroom.inference.mcmc.metric import MAX_DENSE

NUM_STEPS, NUM_BOLD, NUM_POINTS = 32, 12, 128
"""Steps of a fit, those at full rate, and draws of each step; the draws of a mixture are shared among its components if
they are of few dimensions."""

_RATE = {False: 1.0, True: 0.5}  # of the first steps, for one component and for a mixture
_FARTHEST, _WIDEST = 1.0, 0.5  # of one step: a mean moves by so many sds a coordinate, a log sd by so much
_CONVERGED = 1e-7  # nats to gain, from which on a datum rests
_FALL = 2.0  # nats below the best so far, beyond noise: back to the best, at half the rate
_FLATTEST = 0.05  # least curvature that a step of the mean believes, where the family's own is 1

Subset = Callable[[Tensor], Density]
"""Which data `[b]` to the density of these."""


@dataclass(frozen=True)
class Fitted:
    """The family and what it took: evaluations of the gradient for each datum, `[B]`."""

    family: Family
    num_evaluations: Tensor


def fit_family(
    subset: Subset,
    numbers: RandomNumbers,
    start: Family,
    name: str,
    data: Tensor | None = None,
    *,
    num_steps: int = NUM_STEPS,
    num_bold: int = NUM_BOLD,
    num_points: int | None = None,
) -> Fitted:
    """Climb the ELBO of every datum from `start`.

    In coordinates where q is standard normal a natural-gradient step moves the mean by E[r] and changes L to
    L (I + tril E[r εᵀ]), the diagonal halved and exponentiated (Khan & Rue 2023; r as in `Drawn`). The mean
    of a diagonal family moves by Newton steps, with the curvature I − E[r εᵀ] (Stein's identity) that the family
    cannot hold itself. Draws are fresh and quasi-random at each step. Each datum has a rate of its own, halved when its
    ELBO falls, and rests when there is nothing left to gain.

    Args:
        subset: log density and gradient of some of the data.
        numbers: random numbers of the data.
        start: where to begin.
        name: of this fit, for its random numbers.
        data: the data that are fitted; by default all. The others keep their start.
        num_steps: steps.
        num_bold: how many of them, but one, are made at full rate; after them 1, 1/2, 1/3, … averages the noise away.
        num_points: draws of each component in a step, a power of two; by default `points_of` of the family.
    """
    ascent = _Ascent(start)
    if data is not None:
        ascent.rests = torch.ones_like(ascent.rests).index_fill(0, data, False)
    evaluations = torch.zeros(len(start), dtype=torch.long)
    num_components, dim = start.num_components, start.dim
    points = num_points or points_of(num_components, dim)
    for step in range(num_steps):
        restless = ascent.restless()
        if not len(restless):
            break
        noise = quasi_normals(numbers, name, points, num_components * dim, 1, step)[:, restless]
        drawn = draw(subset(restless), ascent.family.select(restless), noise.unflatten(-1, (num_components, dim)))
        ascent.advance(restless, drawn, _RATE[num_components > 1] / max(1, step - num_bold + 2))
        evaluations[restless.cpu()] += points * num_components
    return Fitted(ascent.family, evaluations)


def points_of(num_components: int, dim: int) -> int:
    """Draws of each component in a step: the more, the more entries E[r εᵀ] has."""
    shared = max(8, NUM_POINTS // num_components)
    return min(NUM_POINTS, max(shared, 2 ** math.ceil(math.log2(2 * dim))))


class _Ascent:
    """Where each datum stands, the best member it has had, and how boldly it steps."""

    def __init__(self, start: Family) -> None:
        self.family = self.best = start
        device = start.loc.device
        self.best_elbo = torch.full((len(start),), -torch.inf, dtype=torch.float64, device=device)
        self.rate = torch.ones(len(start), dtype=torch.float64, device=device)
        self.rests = torch.zeros(len(start), dtype=torch.bool, device=device)
        eye = torch.eye(start.dim, dtype=torch.float64, device=device)
        self.dense = start.is_diagonal and 1 < start.dim <= MAX_DENSE
        self.curvature = eye.expand(len(start), 1, -1, -1).clone() if self.dense else None
        self.num_curvatures = 0

    def restless(self) -> Tensor:
        """The data that have something left to gain."""
        return (~self.rests).nonzero().flatten()

    def advance(self, data: Tensor, drawn: Drawn, rate: float) -> None:
        """Make one step with these data."""
        family = self.family.select(data)
        elbo = drawn.elbo(family)
        value, error = elbo.mean(0), elbo.std(0) / len(elbo) ** 0.5
        fell = value < self.best_elbo[data] - _FALL - 4 * error
        better = value > self.best_elbo[data]
        self.best = _put(self.best, data, family.where(better, self.best.select(data)))
        self.best_elbo[data] = torch.where(better, value, self.best_elbo[data])
        self.rate[data] = torch.where(fell, self.rate[data] / 2, self.rate[data])
        moved, gain = self._step(data, family, drawn, rate * self.rate[data])
        self.family = _put(self.family, data, self.best.select(data).where(fell, moved))
        self.rests[data] = (gain < _CONVERGED) & ~fell

    def _step(self, data: Tensor, family: Family, drawn: Drawn, rate: Tensor) -> tuple[Family, Tensor]:
        """The family after one step, and what a full step would gain, to second order, `[b]`."""
        shift, wide = drawn.shift, rate[:, None, None]
        move = self._newton(data, drawn, shift)
        gain = 0.5 * (shift * move).sum(-1)  # [b, K]
        if family.is_diagonal:
            grow = 0.5 * drawn.stretch
            gain = gain + grow.square().sum(-1)
            scale = family.scale * (wide * grow.clamp(-_WIDEST, _WIDEST)).exp()
        else:
            shear = drawn.shear.tril()
            grow, strict = 0.5 * shear.diagonal(dim1=-2, dim2=-1), shear.tril(-1)
            gain = gain + grow.square().sum(-1) + 0.5 * strict.square().sum((-2, -1))
            scale = family.scale @ _unit_lower(strict, grow, rate)
        move = (wide * move.clamp(-_FARTHEST, _FARTHEST)).unsqueeze(0)
        loc = family.at(move).squeeze(0)
        share, apart = family.log_share, drawn.log_w.mean(0).clamp_min(-1e6)
        if family.num_components > 1:
            apart = apart - (share.exp() * apart).sum(-1, keepdim=True)
            gain = gain + apart.square()
            share = (share + rate[:, None] * apart.clamp(-_FARTHEST, _FARTHEST)).log_softmax(-1)
        return Family(share, loc, scale), (family.log_share.exp() * gain).sum(-1)

    def _newton(self, data: Tensor, drawn: Drawn, shift: Tensor) -> Tensor:
        """The mean's step in units of the scale, `[b, K, D]`."""
        if self.curvature is None:
            return shift
        shear = drawn.shear
        curvature = torch.eye(shear.shape[-1], dtype=shear.dtype, device=shear.device) - (shear + shear.mT) / 2
        self.num_curvatures += 1
        averaged = self.curvature[data] + (curvature - self.curvature[data]) / min(self.num_curvatures, 8)
        self.curvature[data] = averaged
        value, vector = torch.linalg.eigh(averaged)
        return (vector @ ((vector.mT @ shift.unsqueeze(-1)) / value.clamp_min(_FLATTEST).unsqueeze(-1))).squeeze(-1)


def _unit_lower(strict: Tensor, grow: Tensor, rate: Tensor) -> Tensor:
    """The lower triangular factor of one step; long steps are shortened as a whole."""
    length = strict.square().sum((-2, -1)).sqrt() / strict.shape[-1] ** 0.5
    strict = strict / (length / _WIDEST).clamp_min(1.0)[..., None, None]
    diagonal = (rate[:, None, None] * grow.clamp(-_WIDEST, _WIDEST)).exp()
    return rate[:, None, None, None] * strict + torch.diag_embed(diagonal)


def _put(family: Family, data: Tensor, replaced: Family) -> Family:
    """The family with the members of some of the data replaced."""
    if len(data) == len(family):
        return replaced
    return Family(
        family.log_share.index_copy(0, data, replaced.log_share),
        family.loc.index_copy(0, data, replaced.loc),
        family.scale.index_copy(0, data, replaced.scale),
    )
