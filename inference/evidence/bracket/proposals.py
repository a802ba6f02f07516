"""What a stage weighs: a proposal of each datum, which says where it may lack a part of the posterior."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evidence.bracket.particles import Particles
from elbowroom.inference.evidence.bracket.recording import Recording
from elbowroom.inference.evidence.bridge.both_sides import Proposal


class Proposals(Protocol):
    """The proposals of some data, made before any of the draws that are weighed."""

    def proposal(self, where: slice, name: str) -> Proposal:
        """That of some of the data; `name` tells its random numbers from those of other uses."""

    def select(self, data: Tensor) -> "Proposals":
        """Those of some of the data."""

    @property
    def particles(self) -> Particles:
        """Particles from the prior, under the proposals."""

    def doubts(self, lower: Estimate) -> tuple[str, ...]:
        """For each datum why else to doubt a value, in words, or nothing."""

    def looked(self) -> tuple[Estimate, tuple[str, ...]]:
        """What was found from the prior says of log p(x), and a note on how well was looked, for each datum."""


@dataclass(frozen=True)
class Kind:
    """A kind of proposals, as a stage.

    Attributes:
        name: of the stage, and of the step that makes and tries the proposals; further draws are `<name> weights`.
        columns: under which the lower and the upper values are kept.
        num_tried: draws that are weighed first. Where the search is most of the work, enough for a small error.
        make: from the densities of some data, a seed and a byte budget; NotImplementedError where the prior cannot be
            drawn from.
    """

    name: str
    columns: tuple[str, str]
    num_tried: int
    make: Callable[[Recording, int, int | None], Proposals]
