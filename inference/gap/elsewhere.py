"""Where else may the posterior be? Points that the encoder did not lead to, and starts of a search from there.

A member that is fitted from the encoder's output ends in the mode nearest to it. Chains have seen the posterior's
modes; where there are none, particles that were sent from the prior have.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.families.expectation import Density
from elbowroom.inference.families.family import Family
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.expedition import LEAST_DIM, NUM_PARTICLES, explore
from elbowroom.inference.mcmc.metric import MAX_DENSE, fit_scale
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.mcmc.population import NUM_POINTS, from_prior
from elbowroom.inference.mcmc.search import BELIEVED

NUM_MODES = 4
"""Modes that points are divided among."""

VALLEY = 1.0
"""Nats by which the density must fall between two members for them to be in different modes."""

_MOST_POINTS = 1024  # posterior draws that starts are read off
_ON_THE_WAY = 64  # points between two members
_FAINT = 0.005  # share of a component below which it is no mode
_HOPELESS = 5.0  # nats that a mode's density may lie below another's; further down it weighs nothing


def points_of(coordinates: Coordinates, draws: Draws) -> Tensor:
    """At most 1024 draws in unconstrained coordinates, `[M, B, D]`, float64."""
    z = {name: value.flatten(0, 1).to(coordinates.target.device) for name, value in draws.z.items()}
    step = max(1, -(-len(next(iter(z.values()))) // _MOST_POINTS))
    with torch.no_grad():
        return coordinates.unconstrain({name: value[::step] for name, value in z.items()}).double()


@dataclass(frozen=True)
class Elsewhere:
    """Points of the posterior that the encoder did not lead to.

    Attributes:
        points: `[M, B, D]`, float64; None where there are none.
        log_p, stderr: log p(x) as a search from the prior alone knows it, `[B]`, nats; NaN without one.
        cost: evaluations of a datum.
    """

    points: Tensor | None
    log_p: Tensor
    stderr: Tensor
    cost: int = 0

    @classmethod
    def only(cls, points: Tensor | None, num_data: int, cost: int = 0) -> "Elsewhere":
        """Points, or nothing at all."""
        nothing = torch.full((num_data,), torch.nan, dtype=torch.float64)
        return cls(points, nothing, nothing, cost)


def seen_by(coordinates: Coordinates, draws: Draws) -> Elsewhere:
    """What chains have seen; their own search began in the prior, too."""
    found = Elsewhere.only(points_of(coordinates, draws), len(draws))
    if "prior_log_p" not in draws.info:
        return found
    return replace(found, log_p=draws.info["prior_log_p"].double(), stderr=draws.info["prior_log_p_stderr"].double())


def explored(densities: Densities, path: Path, numbers: RandomNumbers) -> Elsewhere:
    """What was found from the prior alone: an expedition's particles; in a plane or less weighed draws of the prior.

    Nothing for priors that cannot be drawn from.
    """
    num_data = len(densities.coordinates.target)
    try:
        if densities.coordinates.dim < LEAST_DIM:
            population = from_prior(densities.coordinates, NUM_POINTS, numbers.seed).tempered(BELIEVED)
            uniform = numbers.uniform("ladder: resample", 1)[0]
            return Elsewhere.only(population.resampled(NUM_PARTICLES, uniform).double(), num_data, NUM_POINTS)
        found = explore(path, numbers, densities.log_joint)
    except NotImplementedError:  # a prior that has a density but cannot be drawn from
        return Elsewhere.only(None, num_data)
    value, stderr = (t.double().cpu() for t in (found.log_evidence, found.stderr))
    return Elsewhere(found.particles.double(), value, stderr, found.gradients + found.evaluations)


def starts_of(points: Tensor) -> list[Family]:
    """Gaussians that posterior points `[M, B, D]` suggest: one over all of them, and one on each mode."""
    effective = torch.full((points.shape[1],), float(len(points)) / 4, dtype=points.dtype, device=points.device)
    overall = Family.gaussian(points.mean(0), fit_scale(points, effective)).full()
    if points.shape[-1] > MAX_DENSE:
        return [overall.diagonal()]
    modes = modes_of(points)
    return [overall, *(Family.gaussian(modes.loc[:, k], modes.scale[:, k]) for k in range(modes.num_components))]


def modes_of(points: Tensor) -> Family:
    """The Gaussians of a mixture fitted to posterior points."""
    fitted = Mixture.fit(points, NUM_MODES)
    narrow = slice(0, NUM_MODES)  # the last one is a backdrop
    return Family(fitted.log_share[:, narrow].log_softmax(-1), fitted.mean[:, narrow], fitted.factor[:, narrow])


def apart(density: Density, one: Family, other: Family) -> Tensor:
    """Whether a component of `other` lies in another mode than the mean of `one`: a valley is between them, `[B]`.

    A mode whose density at its centre is less than a hundredth of that at the mean does not count.
    """
    begin, apart = one.mean, torch.zeros(len(one), dtype=torch.bool, device=one.loc.device)
    place = torch.linspace(0, 1, _ON_THE_WAY, dtype=begin.dtype, device=begin.device).reshape(-1, 1, 1)
    for k in range(other.num_components):
        log_p, _ = density(begin + place * (other.loc[:, k] - begin))
        depth = torch.minimum(log_p[0], log_p[-1]) - log_p.amin(0)
        counts = (log_p[-1] > log_p[0] - _HOPELESS) & (other.log_share[:, k].exp() > _FAINT)
        apart |= counts & (depth > VALLEY)  # no valley where an end is −∞
    return apart
