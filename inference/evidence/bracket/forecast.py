"""What a step will cost before any of its kind has run: from a few timed evaluations, or from counts alone."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates, why_no_coordinates
from elbowroom.inference.evaluation.recorded import Traced, log_joint_and_gradient
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.evidence.bracket import sizes
from elbowroom.inference.mcmc import expedition
from elbowroom.inference.mcmc.population import NUM_POINTS
from elbowroom.inference.mcmc.sampling import BURN_IN
from elbowroom.inference.programs.evaluations import GRADIENT
from elbowroom.inference.target import Target

_LEAPFROGS, _MOVES = 4, 25  # gradients of a transition, and moves of an expedition, about
_LATTICE = {0: 8, 1: 500, 2: 5000}  # points and starts of a lattice
_PROPOSALS = 7  # populations of a search and of a proposal for jumps
_MOST_RUNS, _LONG = 100, 0.05  # seconds: longer than the turns that a busy machine gives to others
_CALLS_ASIDE = 400  # calls that the fits of mixtures and the diagnostics of a round take the time of, about


Work = Callable[[int, float], tuple[float, float]]
"""(scalar latents, growth) -> the calls that a step makes, and the evaluations of each datum."""


@dataclass(frozen=True)
class Forecast:
    """The cost of a step on B data: calls · (cost of a call + points in it · cost of a point).

    In seconds; or, with a call that costs nothing and a point that costs one, in evaluations.
    """

    call: float
    point: float
    dim: int
    work: Mapping[str, Work] = field(default_factory=lambda: WORK)
    known: frozenset[str] = frozenset({"importance", "more weights"})  # steps whose evaluations are a fixed number

    @classmethod
    def of(cls, target: Target, counts: bool) -> "Forecast":
        """In evaluations or, measured, in seconds."""
        return cls.counted(target) if counts else cls.measure(target)

    @classmethod
    def counted(cls, target: Target) -> "Forecast":
        """In evaluations: nothing is measured."""
        return cls(0.0, 1.0, _dim(target))

    @classmethod
    def measure(cls, target: Target) -> "Forecast":
        """In seconds: time gradients of few and of many points, as chains evaluate them."""
        dim = _dim(target)
        few = min(8, len(target)) if target.sliceable else len(target)
        if not dim:
            few_points, many_points = (_mean_seconds(target.log_weights, samples) for samples in (4, 68))
            call, weight = few_points, 1
        else:
            coordinates = Coordinates.of(target)
            small = coordinates.at(torch.arange(few)) if target.sliceable else coordinates
            u = _points(small)
            plain = Traced(log_joint_and_gradient, small, record=False)
            few_points, many_points = (_mean_seconds(plain, u[:samples]) for samples in (4, 68))
            recorded = Densities.of(small, 1).gradient
            recorded(u[:4])  # which makes the record
            call, weight = _mean_seconds(recorded, u[:4]), GRADIENT
        point = max((many_points - few_points) / (64 * few), 1e-9) / weight
        return cls(max(call - 4 * few * point * weight, 1e-5), point, dim)

    def cost(self, step: str, num_data: int, growth: float) -> float:
        """What a step will cost on so many data, with so many times the draws of the first round."""
        calls, points = self.work[step](self.dim, growth)
        return calls * self.call + num_data * points * self.point


def _importance(dim: int, growth: float) -> tuple[float, float]:
    return 4, 2 * sizes.NUM_SAMPLES * growth


def _quadrature(dim: int, growth: float) -> tuple[float, float]:
    return 60, 2.0 * _LATTICE.get(dim, 5000)


def _chains(dim: int, growth: float) -> tuple[float, float]:
    """A search, chains, and a bridge and weights from them."""
    transitions = sizes.num_warmup(growth) + BURN_IN + sizes.NUM_DRAWS * growth
    calls, gradients = _LEAPFROGS * transitions, sizes.NUM_CHAINS * _LEAPFROGS * transitions
    points = (_PROPOSALS + growth) * NUM_POINTS + sizes.NUM_CHAINS * sizes.NUM_DRAWS * growth
    if dim >= expedition.LEAST_DIM:
        calls, gradients = calls + _MOVES, gradients + _MOVES * expedition.NUM_PARTICLES
        points += 2 * expedition.NUM_SAMPLES
    return calls + _CALLS_ASIDE, GRADIENT * gradients + points + sizes.NUM_ADAPTED * growth


def _weights(dim: int, growth: float) -> tuple[float, float]:
    return 20, sizes.NUM_ADAPTED * sizes.MORE * growth


def _annealing(dim: int, growth: float) -> tuple[float, float]:
    moves = 2 * sizes.NUM_STEPS * growth * sizes.NUM_LEAPFROG
    return 3 * moves, 2 * GRADIENT * (sizes.NUM_ANNEALED + sizes.NUM_PILOT) * moves


WORK: dict[str, Work] = {
    "importance": _importance,
    "quadrature": _quadrature,
    "chains": _chains,
    "more weights": _weights,
    "annealing": _annealing,
}
"""What the steps of a bracket do, by name."""


def _dim(target: Target) -> int:
    """Scalar latents that can be differentiated in."""
    return 0 if why_no_coordinates(target) else Coordinates.of(target).dim


def _points(coordinates: Coordinates) -> Tensor:
    return coordinates.unconstrain(coordinates.target.propose(68)[0])


def _mean_seconds(run: Callable[[Any], object], at: Any) -> float:
    """Seconds of a call, as busy as the machine is."""
    begin, seconds, count = time.perf_counter(), 0.0, 0
    while seconds < _LONG and count < _MOST_RUNS:
        run(at)
        seconds, count = time.perf_counter() - begin, count + 1
    return seconds / count
