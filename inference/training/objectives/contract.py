"""What an objective is told, what it says of itself, and what training asks of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, ClassVar, Protocol

from elbowroom.inference.programs.structure import Program, Structure
from elbowroom.inference.training.argument_checks import check_registered


class Loss(Protocol):
    """Minus an objective, in nats, summed over the data of a minibatch, which are the programs' arguments."""

    def loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Its value."""

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Its value, with the gradients left in the parameters."""


@dataclass(frozen=True)
class Setting:
    """What an objective is told of the programs.

    Attributes:
        structure: of both.
        plate: name of the plate over data; None if the whole program is one datum.
        num_particles: K, draws of the guide for each datum in a step.
        broadcasts: whether both programs take a leading dim of particles; if not they are run one by one.
        free_bits: λ in nats, of the objectives that floor KLs.
    """

    structure: Structure
    plate: str | None
    num_particles: int = 1
    broadcasts: bool = True
    free_bits: float = 0.0

    @property
    def vectorize(self) -> bool:
        """Whether all particles are drawn in one run, in an outer plate."""
        return self.broadcasts and self.num_particles > 1


class Objective:
    """An entry of the registry: the constructor of a loss, `cls.make(setting, **options)`, and what is known of it.

    The options are the keyword arguments of the constructor.

    Attributes:
        what: what training climbs, in one line.
        bound: "lower" if its value is one on log p(x) in expectation, or "none".
        weighs_kl: whether it has a KL term, which β weighs.
        floors_kl: whether that can have free bits.
        least_particles: the fewest draws of each datum with which it is what it is called.
        sums_out: whether finite latents that the guide leaves to the model are summed out of it.
        couples: what of it is no sum over the rows of a minibatch, so that it cannot be had of parts; empty of most.
    """

    what: ClassVar[str]
    bound: ClassVar[str] = "lower"
    weighs_kl: ClassVar[bool] = False
    floors_kl: ClassVar[bool] = False
    least_particles: ClassVar[int] = 1
    sums_out: ClassVar[bool] = True
    couples: ClassVar[str] = ""

    @classmethod
    def make(cls, setting: Setting, **options: Any) -> Loss:
        """The loss of these programs.

        Raises:
            ValueError: naming the site, if it cannot be had of them.
        """
        return cls(setting, **options)  # type: ignore[call-arg,return-value]

    @classmethod
    def options(cls) -> dict[str, Any]:
        """The names of its options and their defaults."""
        found = signature(cls.__init__).parameters.values()
        return {p.name: p.default for p in found if p.kind is Parameter.KEYWORD_ONLY}

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError unless these options are the constructor's, with values that it takes."""
        for name in options:
            check_registered("option of the loss", name, cls.options(), "loss_options: ")

    @classmethod
    def bounds(cls, options: Mapping[str, Any]) -> str:
        """What its value is with these options: `bound`, unless an option decides it."""
        return cls.bound
