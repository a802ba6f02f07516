"""What every stage of a bracket needs: the target, what is known by now, and how much there is room for."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.evidence.bracket.choice import settled
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.pace import Pace
from elbowroom.inference.evidence.bracket.recording import Recording, how_to_evaluate
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.target import Target

BLIND = "modes far from the guide were not looked for: the prior cannot be drawn from"
"""What is told of data for which nothing was looked for from the prior."""

SEEN = 64.0
"""Effective points of the search from the prior with fewer than which it is said how many there were."""

_WEAK = "modes far from the guide were looked for from the prior with {:.0f} effective points"


@dataclass(frozen=True)
class Work:
    """What every stage needs."""

    target: Target
    ledger: Ledger
    seed: int
    tolerance: float
    memory_bytes: int | None
    pace: Pace
    draws: Draws | None = None  # chains that were run already, of all data
    recordings: dict[int, Recording] = field(default_factory=dict)  # by the number of data in a block

    def part(self, data: Tensor) -> Target:
        """The target of some of the data."""
        return self.target if len(data) == len(self.target) else self.target.select(data)

    def recording(self, step: str, data: Tensor, waiting: int) -> Recording:
        """The densities of a block of data, recorded with those of other blocks of its size where that pays.

        Args:
            step: whose cost counts.
            data: the block.
            waiting: how many data, these among them, are to be answered.
        """
        recording = self.recordings.get(len(data))
        if recording is None:
            how = how_to_evaluate(self.pace, step, len(data), waiting)
            recording = Recording.of(self.target, self.memory_bytes, how)
            if how != "run":  # else nothing is kept that blocks could share
                self.recordings[len(data)] = recording
        return recording.on(self.part(data))

    def is_settled(self, data: Tensor) -> Tensor:
        """Whether each of these data is settled, `[b]`; others are not looked at, of which there may be very many."""
        return settled(self.ledger.select(data.tolist()), self.tolerance)

    def is_unflagged(self, data: Tensor, columns: Sequence[str]) -> Tensor:
        """Whether none of these columns of the ledger has a flag for each of these data, `[b]`."""
        flags = [self.ledger.columns[name].flags for name in columns]
        return torch.tensor([not any(column[b] for column in flags) for b in data.tolist()], dtype=torch.bool)


def fitting(work: Work, step: str, places: Tensor, effort: float) -> tuple[Tensor, float]:
    """As many of the places as a step has room for, all of them with less effort where it can be, and that effort."""
    if not len(places):
        return places, effort
    pace, least = work.pace, 1 if work.target.sliceable else len(places)
    size = pace.affordable(step, effort, len(places))
    if size >= least:
        return places[:size], effort
    within = pace.effort_within(step, least, min(effort, 0.75))  # weights and temperatures less than these say little
    return (places[:0], effort) if within is None else (places[:least], within)


def no_value(num_data: int) -> Estimate:
    """An answer that is a flag alone."""
    nothing = torch.full((num_data,), torch.nan, dtype=torch.float64)
    return Estimate(nothing, nothing, "none")


def weakly_seen(ess: Tensor) -> tuple[str, ...]:
    """What is told of data for which the search from the prior had few effective points, `[b]`, or nothing."""
    return tuple("" if e >= SEEN else _WEAK.format(e) for e in ess.tolist())


def joined(*texts: tuple[str, ...]) -> tuple[str, ...]:
    """Each datum's reasons as one."""
    return tuple(reasons(*flags) for flags in zip(*texts, strict=True))
