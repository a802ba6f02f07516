"""The arguments that all walks along a path have in common, checked."""

from dataclasses import dataclass

from elbowroom.inference.evidence.annealing.schedule import SCHEDULES
from elbowroom.inference.mcmc.path import STARTS


@dataclass(frozen=True)
class Settings:
    """The arguments of `anneal` and its relatives, checked.

    Raises:
        ValueError: naming the argument, what it is and what it may be.
    """

    num_steps: int
    num_chains: int
    start: str
    schedule: str
    num_pilot: int
    num_leapfrog: int
    seed: int
    memory_bytes: int | None
    progress: bool
    compile: bool

    def __post_init__(self) -> None:
        if self.num_pilot < 2:
            raise ValueError(
                f"num_pilot must be at least 2, got {self.num_pilot}: kernels are tuned on the spread of pilot chains"
            )
        for name, allowed in (("start", STARTS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")

    @property
    def num_evaluations(self) -> int:
        """Gradient evaluations of the reported chains of a datum, pilot chains apart."""
        return self.num_chains * (1 + (self.num_steps - 1) * self.num_leapfrog)
