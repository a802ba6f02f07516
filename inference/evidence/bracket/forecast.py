"""What a step will cost before any of its kind has run: from a few timed evaluations, or from counts alone."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates, why_no_coordinates
from elbowroom.inference.evaluation.recorded import Traced, log_joint_and_gradient
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.evidence.bracket import sizes
from elbowroom.inference.mcmc import expedition
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.population import NUM_POINTS
from elbowroom.inference.mcmc.sampling import BURN_IN
from elbowroom.inference.programs.evaluations import GRADIENT
from elbowroom.inference.target import Target

_LEAPFROGS, _MOVES = 4, 25  # gradients of a transition of eight latents, and moves of an expedition, about
_EIGHT = 8
_SHORTER = 0.4  # with d of them steps are as long as d^-0.4, found of 18 to 80; d^-(1/4) if alike (Beskos et al. 2013)
_PROPOSALS = 7  # populations of a search and of a proposal for jumps
_MOST_RUNS, _LONG = 25, 0.05  # seconds: longer than the turns that a busy machine gives to others
_FEW, _MANY, _MOST = 4, 68, 1028  # samples of timed evaluations, the last two as many as it takes to be slower
_SLOWER = 3.0  # times as slow as few samples: a difference that is more than the noise of a busy machine


class Amount(NamedTuple):
    """What a step does: runs of the programs, and work beside them that no program has a part in.

    Attributes:
        calls: runs of the programs at many points at once.
        points: evaluations of each datum.
        fits: work beside them for each datum, counted in mixtures fitted to points of it.
        fits_once: work beside them whatever the number of data, in the same unit.
    """

    calls: float
    points: float
    fits: float = 0.0
    fits_once: float = 0.0


Work = Callable[[int, float], Amount]
"""(scalar latents, growth) -> what a step does."""


@dataclass(frozen=True)
class Forecast:
    """The cost of a step on B data: calls · c + once · f + B · (points · p + fits · f), of what an `Amount` counts.

    c, p and f are seconds of a call, of a point in one of many, and of a fit; or, with calls and fits that cost
    nothing and a point that costs one, the cost is in evaluations.
    """

    call: float
    point: float
    dim: int
    work: Mapping[str, Work] = field(default_factory=lambda: WORK)
    known: frozenset[str] = frozenset(
        {"importance", "more weights", "population weights", "refined weights"}
    )  # steps whose evaluations are a fixed number
    fit: float = 0.0

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
            few_seconds, point = _few_and_point(target.log_weights, few)
            return cls(_call(few_seconds, point, few), point, dim)
        coordinates = Coordinates.of(target)
        small = coordinates.at(torch.arange(few)) if target.sliceable else coordinates
        u = _points(small)
        plain = Traced(log_joint_and_gradient, small, record=False)
        _, point = _few_and_point(lambda samples: plain(u[:samples]), few)
        recorded = Densities.of(small, 1).gradient
        recorded(u[:_FEW])  # which makes the record
        call = _call(_mean_seconds(recorded, u[:_FEW]), point, few)
        generator = torch.Generator().manual_seed(0)  # not the guide's draws, which may be no numbers
        cloud = torch.randn(u[:NUM_POINTS].shape, generator=generator, dtype=target.dtype).to(u.device)
        fit = _mean_seconds(Mixture.fit, cloud, most=2) / few
        return cls(call, point / GRADIENT, dim, fit=fit)

    def cost(self, step: str, num_data: int, growth: float) -> float:
        """What a step will cost on so many data, with so many times the draws of the first round."""
        amount = self.work[step](self.dim, growth)
        once = amount.calls * self.call + amount.fits_once * self.fit
        return once + num_data * (amount.points * self.point + amount.fits * self.fit)

    def share_of_points(self, step: str, num_data: int) -> float:
        """Which part of that evaluations at points are, in the first round."""
        return num_data * self.work[step](self.dim, 1.0).points * self.point / self.cost(step, num_data, 1.0)


_LATTICE = (Amount(60, 16), Amount(60, 3_000, 2, 35), Amount(80, 15_000, 6, 70))
"""A lattice over no, one and two latents."""


def _importance(dim: int, growth: float) -> Amount:
    return Amount(4, 2 * sizes.NUM_SAMPLES * growth, 0.2 * growth, 5)


def _quadrature(dim: int, growth: float) -> Amount:
    return _LATTICE[min(dim, 2)]


def _chains(dim: int, growth: float) -> Amount:
    """A search, chains, and a bridge and weights from them."""
    transitions = sizes.num_warmup(growth) + BURN_IN + sizes.NUM_DRAWS * growth
    leapfrogs = _LEAPFROGS * max(1.0, dim / _EIGHT) ** _SHORTER
    calls, gradients = leapfrogs * transitions, sizes.NUM_CHAINS * leapfrogs * transitions
    points = (_PROPOSALS + growth) * NUM_POINTS + sizes.NUM_CHAINS * sizes.NUM_DRAWS * growth
    if dim >= expedition.LEAST_DIM:
        calls, gradients = calls + _MOVES, gradients + _MOVES * expedition.NUM_PARTICLES
        points += 2 * expedition.NUM_SAMPLES
    return Amount(calls, GRADIENT * gradients + points + sizes.NUM_ADAPTED * growth, fits=8, fits_once=45)


def _population(dim: int, growth: float) -> Amount:
    """A search from guide and prior, and a few draws of its mixture that are weighed."""
    gradients = _MOVES * (expedition.NUM_PARTICLES + sizes.NUM_PARTICLES)
    points = 4 * NUM_POINTS + 2 * expedition.NUM_SAMPLES + sizes.NUM_ADAPTED
    return Amount(2 * _MOVES + 8, GRADIENT * gradients + points, fits=8, fits_once=10)


def _refined(dim: int, growth: float) -> Amount:
    """Particles from the prior, a fit, and a few draws of it that are weighed."""
    moves, steps = expedition.NUM_STAGES, sizes.NUM_FITTED
    gradients = moves * sizes.NUM_PARTICLES + steps * sizes.NUM_POINTS
    return Amount(moves + steps + 8, GRADIENT * gradients + NUM_POINTS + sizes.NUM_TRIED, fits=1, fits_once=5)


def _proposal_weights(dim: int, growth: float) -> Amount:
    return Amount(4, sizes.NUM_ADAPTED * growth)


def _weights(dim: int, growth: float) -> Amount:
    return Amount(20, sizes.NUM_ADAPTED * sizes.MORE * growth)


def _annealing(dim: int, growth: float) -> Amount:
    moves = 2 * sizes.NUM_STEPS * growth * sizes.NUM_LEAPFROG
    return Amount(3 * moves, 2 * GRADIENT * (sizes.NUM_ANNEALED + sizes.NUM_PILOT) * moves)


WORK: dict[str, Work] = {
    "importance": _importance,
    "quadrature": _quadrature,
    "chains": _chains,
    "population": _population,
    "population weights": _proposal_weights,
    "refined": _refined,
    "refined weights": _proposal_weights,
    "more weights": _weights,
    "annealing": _annealing,
}
"""What the steps of a bracket do, by name."""


def _dim(target: Target) -> int:
    """Scalar latents that can be differentiated in."""
    return 0 if why_no_coordinates(target) else Coordinates.of(target).dim


def _points(coordinates: Coordinates) -> Tensor:
    """As many points as are timed, the same draws of the guide again and again."""
    u = coordinates.unconstrain(coordinates.target.propose(_MANY)[0])
    return u[torch.arange(_MOST) % _MANY]


def _few_and_point(run: Callable[[int], object], num_data: int) -> tuple[float, float]:
    """Seconds of an evaluation of few samples, and of each further point in one of many."""
    few, samples = _mean_seconds(run, _FEW), _MANY
    while samples < _MOST and _mean_seconds(run, samples, most=1) < _SLOWER * few:
        samples = min(4 * samples, _MOST)
    return few, max((_mean_seconds(run, samples) - few) / ((samples - _FEW) * num_data), 1e-9)


def _call(seconds: float, point: float, num_data: int) -> float:
    """Seconds of a call without those of its few points."""
    return max(seconds - _FEW * num_data * point, 1e-5)


def _mean_seconds(run: Callable[[Any], object], at: Any, most: int = _MOST_RUNS) -> float:
    """Seconds of a call, as busy as the machine is."""
    begin, seconds, count = time.perf_counter(), 0.0, 0
    while seconds < _LONG and count < most:
        run(at)
        seconds, count = time.perf_counter() - begin, count + 1
    return seconds / count
