"""What proposals evaluate: run for a block of data, recorded for several, compiled for many.

A record saves about a sixth of the time of evaluations and takes a second or two, compiled it saves about a third and
takes five to thirty, and blocks of one size share it: what pays is told by how long the evaluations of the blocks to
come will take. (MNIST, 50 latents: fits of a block of 100 images take 11.3, 9.4, and 8.0 seconds.)
"""

from dataclasses import dataclass
from typing import Literal

import torch

from elbowroom.inference.evaluation.budget import cells_within, plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.evidence.bracket.pace import Pace
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.programs.evaluations import GRADIENT
from elbowroom.inference.target import Target

How = Literal["run", "recorded", "compiled"]

_PAYS: dict[How, float] = {"compiled": 60.0, "recorded": 15.0}
"""From how many seconds of evaluations on."""


@dataclass(frozen=True)
class Recording:
    """The densities of some data; what is made of other data of the same programs shares their records.

    Attributes:
        densities: log p(x, u), with and without its gradient.
        path: from the prior to it.
    """

    densities: Densities
    path: Path

    @classmethod
    def of(cls, target: Target, memory_bytes: int | None = None, how: How = "run") -> "Recording":
        """Those of a target; nothing is recorded before the first call of each shape."""
        record, compile = how != "run", how == "compiled"
        coordinates = Coordinates.of(target)
        densities = Densities.of(coordinates, cells_within(target, memory_bytes), compile, record)
        cells = cells_within(target, memory_bytes, copies=GRADIENT)
        return cls(densities, Path(coordinates, "prior", compile=compile, record=record, cells=cells))

    @property
    def coordinates(self) -> Coordinates:
        """Those of the data."""
        return self.densities.coordinates

    def on(self, target: Target) -> "Recording":
        """The same of other data of the same programs."""
        return Recording(self.densities.at(Coordinates(target, self.coordinates.dim)), self.path.on(target))

    def parts(self, num_points: int, memory_bytes: int | None) -> "list[Recording]":
        """Of as many data at a time as the byte budget holds so many points of, with gradients."""
        target = self.coordinates.target
        if not target.sliceable:
            return [self]
        at_once = plan(target, num_points, memory_bytes, gradients=True).data_at_once
        return [self.on(target.select(data)) for data in torch.arange(len(target)).chunk(-(-len(target) // at_once))]


def how_to_evaluate(pace: Pace, step: str, size: int, waiting: int) -> How:
    """What pays for a step on blocks of `size` data, of `waiting` data in all, as far as there is room for them.

    Where evaluations are counted no clock is asked, and nothing is recorded.
    """
    cost, clock = pace.cost(step, size), pace.clock
    blocks = min(waiting // size, int(clock.left // cost))
    if clock.counts or blocks < 2:
        return "run"
    evaluating = blocks * cost * pace.forecast.share_of_points(step, size)
    return next((how for how, least in _PAYS.items() if evaluating > least), "run")
