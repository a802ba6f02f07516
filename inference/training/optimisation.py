"""How a step is taken along the gradient: which optimiser, how far, what is taken off the parameters."""

from dataclasses import dataclass

from elbowroom.inference.training.argument_checks import (
    check_at_least_zero,
    check_positive,
    check_registered,
    is_number,
)
from elbowroom.inference.training.optimiser import OPTIMIZERS
from elbowroom.inference.training.schedule import SCHEDULES


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """The arguments of `fit` by the same names.

    Attributes:
        learning_rate: of the first step.
        schedule: a key of `SCHEDULES`.
        clip_norm: longest gradient that is used as it is.
        optimizer: a key of `OPTIMIZERS`.
        weight_decay: None is the optimiser's own.
        final_learning_rate: where the schedule ends; None is its own: 0 of cosine, a tenth of exponential.
    """

    learning_rate: float
    schedule: str
    clip_norm: float | None
    optimizer: str = "Adam"
    weight_decay: float | None = None
    final_learning_rate: float | None = None

    def learning_rate_at(self, step: int, num_steps: int) -> float:
        """The learning rate of step 0, 1, …"""
        final = {} if self.final_learning_rate is None else {"final": self.final_learning_rate / self.learning_rate}
        return self.learning_rate * SCHEDULES[self.schedule](step / num_steps, **final)

    def check_optimisation(self) -> None:
        """Raise ValueError naming the argument, what was got and what was expected."""
        check_positive("learning_rate", self.learning_rate)
        if self.clip_norm is not None:
            check_positive("clip_norm", self.clip_norm)
        check_registered("schedule", self.schedule, SCHEDULES)
        check_registered("optimizer", self.optimizer, OPTIMIZERS)
        if self.weight_decay is not None:
            check_at_least_zero("weight_decay", self.weight_decay, "")
        if self.final_learning_rate is not None:
            self._check_final(self.final_learning_rate)

    def _check_final(self, final: float) -> None:
        smallest = "> 0" if self.schedule == "exponential" else ">= 0"
        too_small = not is_number(final) or not final >= 0 or (final == 0 and self.schedule == "exponential")
        if too_small or not final <= self.learning_rate:
            raise ValueError(
                f"final_learning_rate must be a number {smallest} and at most learning_rate={self.learning_rate:g}, "
                f"got {final!r}"
            )
        if self.schedule == "constant":
            raise ValueError(
                f"final_learning_rate={final:g} is where a schedule ends, and schedule='constant' stays where it is: "
                "use schedule='cosine' or 'exponential'"
            )
