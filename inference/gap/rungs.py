"""A warm-started ladder of families: each rung starts from the one before and is kept only if it scores better."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbowroom.inference.evaluation.quasi_random import quasi_normals
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.families.expectation import Density, draw
from elbowroom.inference.families.family import Family
from elbowroom.inference.families.fitting import fit_family
from elbowroom.inference.families.of_data import density_of
from elbowroom.inference.families.scoring import Evaluation, evaluate
from elbowroom.inference.gap.elsewhere import apart, modes_of, starts_of
from elbowroom.inference.gap.own_family import OWN_FAMILY, NoiseDensities

FLOW = "flow"
"""The last rung's name: the members before it, bent."""

NUM_COMPONENTS = 4
"""Components of a mixture that is split from a Gaussian."""

_APART = 0.7  # sds between neighbours of a split
_TRIED = 64  # draws that starts are compared on
_NEARLY_ALL = 0.8  # of the randomisations: 13 of 16 by chance once in a hundred
_AHEAD = 0.5  # nats that a start elsewhere must be ahead for a search from there, if no valley lies between
_ALIKE = math.log(2.0)  # nats between members of two modes that are about as good


@dataclass(frozen=True)
class Rung:
    """The best members found of a family.

    Attributes:
        family: the members.
        evaluation: their ELBO.
        num_evaluations: what they took, `[B]`.
        shortfall: nats by which the search from the member before ended below them, `[B]`; zero where they are its own.
        has_rival: whether members in two different modes were found that are alike to log 2, `[B]`.
        elsewhere: members of the search from elsewhere, or where it would have begun; None without points.
    """

    family: Family
    evaluation: Evaluation
    num_evaluations: Tensor
    shortfall: Tensor
    has_rival: Tensor
    elsewhere: Family | None


@dataclass(frozen=True)
class Climber:
    """What every rung needs of some data, in unconstrained coordinates or in the guide's noise."""

    densities: Densities | NoiseDensities
    numbers: RandomNumbers
    num_points: int
    points: Tensor | None  # of the posterior, not from the encoder, in these coordinates, `[M, B, D]`

    def subset(self, data: Tensor) -> Density:
        """The log density and gradient of some of the data, in float64."""
        return density_of(self.densities, data)

    @property
    def everything(self) -> Density:
        """The density of all the data."""
        return density_of(self.densities)

    def evaluated(self, family: Family) -> Evaluation:
        """The family's ELBO on the draws common to all."""
        return evaluate(self.everything, self.numbers, family, self.num_points)

    def best_of(self, candidates: list[Family], rival: Family) -> tuple[Family, Tensor]:
        """The candidate with the highest ELBO of each datum, and how far it is ahead of a rival, `[B]`, nats.

        All are scored on the same draws.
        """
        chosen, best = candidates[0], self._score(candidates[0])
        for family in candidates[1:]:
            score = self._score(family)
            chosen, best = family.where(score > best, chosen), torch.maximum(score, best)
        return chosen, (best - self._score(rival)).nan_to_num(-torch.inf, torch.inf, -torch.inf)

    def _score(self, family: Family) -> Tensor:
        """The ELBO on a few draws, `[B]`."""
        noise = quasi_normals(self.numbers, "starts", _TRIED, family.num_components * family.dim, 1)
        drawn = draw(self.everything, family, noise.unflatten(-1, (family.num_components, family.dim)))
        return drawn.elbo(family).mean(0)


@dataclass(frozen=True)
class _Starts:
    """Where a family's two searches begin: at the best member before it, and where posterior points suggest."""

    near: Callable[[Climber, Family], Family]
    far: Callable[[Tensor], list[Family]]


_DIAGONAL = _Starts(
    lambda _, before: before.diagonal(), lambda points: [family.diagonal() for family in starts_of(points)]
)

_STARTS: dict[str, _Starts] = {
    OWN_FAMILY: _DIAGONAL,  # in coordinates of its own
    "mean-field": _DIAGONAL,
    "full covariance": _Starts(
        lambda _, before: before.full(), lambda points: [family.full() for family in starts_of(points)]
    ),
    "mixture": _Starts(lambda climber, before: _split(climber, before.full()), lambda points: [modes_of(points)]),
}
"""Families from small to large, each with its starts; what a guide's own is, it depends."""

RUNGS = (*_STARTS, FLOW)
"""All rungs, from small to large."""


def fit_rung(climber: Climber, name: str, before: Family, elsewhere: Family | None) -> Rung:
    """Fit a family from the best member so far; and again from elsewhere, where that may be another mode.

    The better fit of each datum is kept. The second search is made where a valley lies between the first one's member
    and the best start elsewhere, or where that start is ahead as it stands.

    Args:
        climber: the data.
        name: of the family.
        before: the best members so far.
        elsewhere: the last family's members from elsewhere, if there were any.
    """
    fitted = fit_family(climber.subset, climber.numbers, _STARTS[name].near(climber, before), name)
    evaluation = climber.evaluated(fitted.family)
    cost = fitted.num_evaluations + evaluation.elbo.shape[0] * climber.num_points
    nothing = torch.zeros_like(evaluation.value)
    never = torch.zeros_like(nothing, dtype=torch.bool)
    rung = Rung(fitted.family, evaluation, cost, nothing, never, None)
    if climber.points is None:
        return rung
    candidates = _STARTS[name].far(climber.points)
    if elsewhere is not None and candidates[0].num_components == 1:
        candidates.append(elsewhere.formed_as(candidates[0]))
    start, ahead = climber.best_of(candidates, fitted.family)
    other = apart(climber.everything, fitted.family, start)
    return _searched_again(climber, name, rung, start, ahead > _AHEAD, other)


def _searched_again(climber: Climber, name: str, rung: Rung, start: Family, ahead: Tensor, other: Tensor) -> Rung:
    """The rung with the members of a second search from `start`, for the data where they are better."""
    data = (ahead | other).nonzero().flatten()
    if not len(data):
        return replace(rung, elsewhere=start)
    fitted = fit_family(climber.subset, climber.numbers, start, name, data)
    again = evaluate(climber.subset(data), climber.numbers, fitted.family.select(data), climber.num_points, data)
    elbo = torch.full_like(rung.evaluation.elbo, -torch.inf).index_copy(1, data, again.elbo)
    better, gain = is_better(elbo, rung.evaluation.elbo), elbo.mean(0) - rung.evaluation.value
    slack = rung.evaluation.slack
    if slack is not None and again.slack is not None:
        value, error = (mine.index_copy(0, data, theirs) for mine, theirs in zip(slack, again.slack, strict=True))
        slack = torch.where(better, value, slack[0]), torch.where(better, error, slack[1])
    spent = torch.zeros_like(rung.num_evaluations)
    spent[data.cpu()] = elbo.shape[0] * climber.num_points
    return Rung(
        family=fitted.family.where(better, rung.family),
        evaluation=Evaluation(torch.where(better, elbo, rung.evaluation.elbo), slack),
        num_evaluations=rung.num_evaluations + fitted.num_evaluations + spent,
        shortfall=torch.where(better, gain, 0.0).nan_to_num(0.0, 0.0, 0.0),
        has_rival=other & (gain.abs() < _ALIKE),
        elsewhere=fitted.family,
    )


def is_better(elbo: Tensor, before: Tensor) -> Tensor:
    """Whether a member is better beyond noise: a gain over twice its error or in nearly every randomisation, `[B]`.

    The error alone would keep an encoder whose ELBO rests on a few draws far out: the worse it is, the larger its
    error.
    """
    gain = (elbo - before.nan_to_num(-torch.inf, neginf=-torch.inf)).nan_to_num(0.0, torch.inf, -torch.inf)
    mean, share = gain.mean(0), (gain > 0).double().mean(0)
    return (mean > 2 * gain.std(0) / len(gain) ** 0.5) | ((mean > 0) & (share > _NEARLY_ALL))


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
