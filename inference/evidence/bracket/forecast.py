"""What a stage will cost before it runs, from a few timed evaluations."""

import time
from dataclasses import dataclass

from elbowroom.inference.evaluation.coordinates import Coordinates, why_no_coordinates
from elbowroom.inference.evaluation.recorded import log_joint_and_gradient
from elbowroom.inference.evidence.bracket import stages as methods
from elbowroom.inference.target import Target

_GRADIENT = 3  # a gradient costs about three evaluations
_STEPS = 8  # gradients of a transition, about
_LATTICE = {0: 8, 1: 500, 2: 5000}  # points and starts of a lattice


@dataclass(frozen=True)
class Forecast:
    """Seconds of a stage on B data: calls · (seconds of a call + points in it · seconds of a point)."""

    call: float
    point: float
    dim: int

    @classmethod
    def measure(cls, target: Target) -> "Forecast":
        """Time one gradient of few and of many points, three times each."""
        few = min(8, len(target)) if target.sliceable else len(target)
        small = target.select(range(few)) if target.sliceable else target
        coordinates = None if why_no_coordinates(small) else Coordinates.of(small)
        seconds = {samples: _best_of_three(small, coordinates, samples) for samples in (1, 65)}
        point = max((seconds[65] - seconds[1]) / (64 * few), 1e-9) / _GRADIENT
        return cls(max(seconds[1] - few * point * _GRADIENT, 1e-5), point, coordinates.dim if coordinates else 0)

    def seconds(self, stage: str, num_data: int, effort: int) -> float:
        """The seconds that a stage will take on so many data."""
        calls, points = self._work(stage, methods.GROWTH**effort)
        return calls * self.call + num_data * points * self.point

    def _work(self, stage: str, growth: int) -> tuple[float, float]:
        """The number of calls that a stage makes, and of evaluations for each datum."""
        if stage == "importance":
            return 4, methods.NUM_SAMPLES * growth
        if stage == "quadrature":
            return 60, 2.0 * _LATTICE.get(self.dim, 5000)
        transitions = methods.NUM_WARMUP + methods.NUM_DRAWS * growth
        temperatures = 2 * methods.NUM_STEPS * growth * methods.NUM_LEAPFROG
        calls = _STEPS * transitions + temperatures
        gradients = methods.NUM_CHAINS * _STEPS * transitions + (methods.NUM_ANNEALED + 4) * 2 * temperatures
        return calls, _GRADIENT * gradients + methods.NUM_ADAPTED * growth


def _best_of_three(target: Target, coordinates: Coordinates | None, samples: int) -> float:
    """Seconds of a gradient at draws of the guide; of an evaluation where there is nothing to differentiate in."""
    times = []
    u = coordinates.unconstrain(target.propose(samples)[0]) if coordinates and coordinates.dim else None
    for _ in range(3):
        begin = time.perf_counter()
        if u is None or coordinates is None:
            target.log_weights(samples)
        else:
            log_joint_and_gradient(coordinates, u)
        times.append(time.perf_counter() - begin)
    return min(times)
