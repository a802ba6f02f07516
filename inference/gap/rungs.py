"""A warm-started ladder of families: each rung starts from the one before and is kept only if it scores better."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.quasi_random import quasi_normals
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.gap.families.expectation import Density, draw
from elbowroom.inference.gap.families.family import Family
from elbowroom.inference.gap.families.fitting import fit_family
from elbowroom.inference.gap.families.scoring import Evaluation, evaluate
from elbowroom.inference.mcmc.metric import MAX_DENSE, fit_scale
from elbowroom.inference.mcmc.mixture import Mixture

NUM_COMPONENTS = 4
"""Components of a mixture that is split from a Gaussian."""

_APART = 0.7  # sds between neighbours of a split
_TRIED = 64  # draws that starts are compared on


@dataclass(frozen=True)
class Rung:
    """The best member found of a family, its evaluation, and what it took, `[B]`."""

    family: Family
    evaluation: Evaluation
    num_evaluations: Tensor


@dataclass(frozen=True)
class Climber:
    """What every rung needs of some data."""

    densities: Densities
    numbers: RandomNumbers
    num_points: int
    points: Tensor | None  # draws of the posterior in unconstrained coordinates, `[M, B, D]`

    def subset(self, data: Tensor) -> Density:
        """The log density and gradient of some of the data, in float64."""
        target = self.densities.coordinates.target
        dtype = target.dtype
        density = self.densities.gradient if len(data) == len(target) else self._on(data)

        def in_double(u: Tensor) -> tuple[Tensor, Tensor]:
            value, gradient = density(u.to(dtype))
            return value.double(), gradient.double()

        return in_double

    def _on(self, data: Tensor) -> Density:
        """The density of some of the data; programs that cannot be given part of them run on all."""
        target = self.densities.coordinates.target
        if target.sliceable:
            return self.densities.on(data)

        def of_all(u: Tensor) -> tuple[Tensor, Tensor]:
            filled = u[:, :1].expand(-1, len(target), -1).index_copy(1, data, u)
            value, gradient = self.densities.gradient(filled)
            return value[:, data], gradient[:, data]

        return of_all

    @property
    def everything(self) -> Density:
        """The density of all the data."""
        return self.subset(torch.arange(len(self.densities.coordinates.target)))

    def evaluated(self, family: Family) -> Evaluation:
        """The family's ELBO on the draws common to all."""
        return evaluate(self.everything, self.numbers, family, self.num_points)

    def best_of(self, candidates: list[Family]) -> Family:
        """The candidate with the highest ELBO of each datum, all scored on the same draws."""
        if len(candidates) == 1:
            return candidates[0]
        scores = []
        for family in candidates:
            noise = quasi_normals(self.numbers, "starts", _TRIED, family.num_components * family.dim, 1)
            drawn = draw(self.everything, family, noise.unflatten(-1, (family.num_components, family.dim)))
            scores.append(drawn.elbo(family).mean(0))
        chosen, best = candidates[0], scores[0]
        for family, score in zip(candidates[1:], scores[1:], strict=True):
            chosen, best = family.where(score > best, chosen), torch.maximum(score, best)
        return chosen


def mean_field(climber: Climber, before: list[Family]) -> Rung:
    """Fit Gaussians of independent coordinates."""
    return _fitted(climber, [family.diagonal() for family in before], "mean-field")


def full_covariance(climber: Climber, before: list[Family]) -> Rung:
    """Fit Gaussians with all their covariances."""
    return _fitted(climber, [family.full() for family in before], "full covariance")


def mixture(climber: Climber, before: list[Family]) -> Rung:
    """Fit mixtures of Gaussians: split off the last rung's, or of the modes that posterior draws show."""
    starts = [_split(climber, before[-1].full())]
    if climber.points is not None:
        starts.append(_of_points(climber.points))
    return _fitted(climber, starts, "mixture")


RUNGS: dict[str, Callable[[Climber, list[Family]], Rung]] = {
    "mean-field": mean_field,
    "full covariance": full_covariance,
    "mixture": mixture,
}
"""Families from small to large; each is given the members found so far, those of the rung before last."""


def starts_of(points: Tensor) -> list[Family]:
    """Gaussians that posterior draws `[M, B, D]` suggest: one over all of them, one on the largest mode."""
    effective = torch.full((points.shape[1],), float(len(points)) / 4, dtype=points.dtype, device=points.device)
    overall = Family.gaussian(points.mean(0), fit_scale(points, effective)).full()
    if points.shape[-1] > MAX_DENSE:
        return [overall.diagonal()]
    modes = _of_points(points)
    largest = modes.log_share.argmax(-1)
    data = torch.arange(len(modes), device=points.device)
    return [overall, Family.gaussian(modes.loc[data, largest], modes.scale[data, largest])]


def _fitted(climber: Climber, starts: list[Family], name: str) -> Rung:
    """Fit the family of `starts` from the best of them, and score it."""
    fitted = fit_family(climber.subset, climber.numbers, climber.best_of(starts), name)
    evaluation = climber.evaluated(fitted.family)
    return Rung(fitted.family, evaluation, fitted.num_evaluations + evaluation.elbo.shape[0] * climber.num_points)


def _split(climber: Climber, gaussian: Family) -> Family:
    """Components in a row along the direction in which the Gaussian fits worst, each narrower there."""
    noise = quasi_normals(climber.numbers, "split", _TRIED, gaussian.dim, 1).unsqueeze(2)
    path = draw(climber.everything, gaussian, noise).path.squeeze(2)  # [S, B, D]
    moment = path.transpose(0, 1).mT @ path.transpose(0, 1) / len(path)
    direction = torch.linalg.eigh(moment.nan_to_num(0.0, 0.0, 0.0)).eigenvectors[..., -1]  # [B, D]
    place = _APART * (torch.arange(NUM_COMPONENTS, dtype=torch.float64, device=path.device) - (NUM_COMPONENTS - 1) / 2)
    across = place[:, None, None] * direction  # [K, B, D]
    loc = gaussian.at(across.unsqueeze(2)).squeeze(2).transpose(0, 1)  # [B, K, D]
    # Narrower by the spread of the means, so that the mixture has the Gaussian's covariance.
    shrink = torch.eye(gaussian.dim, dtype=path.dtype, device=path.device) - place.square().mean() * (
        direction.unsqueeze(-1) * direction.unsqueeze(-2)
    )
    factor = gaussian.scale.squeeze(1) @ torch.linalg.cholesky(shrink)  # lower triangular, as both are
    share = torch.full(loc.shape[:2], 1 / NUM_COMPONENTS, dtype=torch.float64, device=path.device).log()
    return Family(share, loc, factor.unsqueeze(1).expand(-1, NUM_COMPONENTS, -1, -1).contiguous())


def _of_points(points: Tensor) -> Family:
    """The Gaussians of a mixture fitted to posterior draws."""
    fitted = Mixture.fit(points, NUM_COMPONENTS)
    narrow = slice(0, NUM_COMPONENTS)  # the last one is a backdrop
    return Family(fitted.log_share[:, narrow].log_softmax(-1), fitted.mean[:, narrow], fitted.factor[:, narrow])
