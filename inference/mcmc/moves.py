"""The frozen moves of all data: when each datum makes an HMC move, on which data it is made, and how often it jumps."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.mcmc.jumps import State
from elbowroom.inference.mcmc.leapfrog import Density, evaluate
from elbowroom.inference.mcmc.metric import deviations
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.rounding import on_grid
from elbowroom.inference.mcmc.trajectory import halton
from elbowroom.inference.mcmc.transition import Kernel, transition
from elbowroom.inference.mcmc.warmup import Tuned

SELDOM, NOW_AND_THEN, OFTEN, ALWAYS = 16, 8, 2, 1
"""Every so many draws make an HMC move: where jumps travel well, where many or half of them are accepted, and
elsewhere. Where half are, some places are left only after tens of them: of 40 digits with 10 or 14 latents, an HMC move
in every eighth draw left 10 below their gates, and one in every second none; nor of 60 others, which chose nothing."""

PERIODS = (ALWAYS, OFTEN, NOW_AND_THEN, SELDOM)
"""From short to long, each a divisor of the next."""

_MANY, _HALF = 0.7, 0.5  # of the jumps accepted


@dataclass(frozen=True)
class Schedule:
    """What a draw of each datum consists of; a function of the frozen acceptance of its jumps alone.

    Attributes:
        tries: independence moves in a draw, `[B]`.
        period: every so many draws make an HMC move, `[B]`; divisors of one another.
    """

    tries: Tensor
    period: Tensor

    @classmethod
    def of(cls, acceptance: Tensor, easy: Tensor) -> "Schedule":
        """More tries where fewer are accepted; HMC moves in every draw where jumps alone would not mix."""
        tries = torch.where(acceptance >= _MANY, 1, torch.where(acceptance >= 0.35, 2, 4))
        uneven = torch.where(acceptance >= _MANY, NOW_AND_THEN, torch.where(acceptance >= _HALF, OFTEN, ALWAYS))
        return cls(torch.where(acceptance > 0, tries, 0), torch.where(easy, SELDOM, uneven))

    @property
    def most_tries(self) -> int:
        """The most independence moves that any datum makes in a draw."""
        return int(self.tries.max())

    def jitter(self, index: int) -> Tensor:
        """Factor of the trajectory length at a draw, `[B]`: the next number of each datum's own sequence."""
        jitter = torch.ones(len(self.period), dtype=torch.float64, device=self.period.device)
        for period in PERIODS:
            jitter[self.period == period] = halton(index // period)
        return jitter


class Moved(NamedTuple):
    """Chains after an HMC move of some of the data; the others have stayed where they were.

    Attributes:
        state: where the chains are now.
        acceptance: acceptance probabilities, `[C, B]`; zero where no move was made.
        num_steps: gradient evaluations, `[C, B]`; zero where no move was made.
        diverging: whether the energy error exceeded 1000 nats or was not finite, `[C, B]`.
    """

    state: State
    acceptance: Tensor
    num_steps: Tensor
    diverging: Tensor


@dataclass(frozen=True)
class Mover:
    """HMC on the data that are due at a draw.

    Attributes:
        density: log density and gradient of these data.
        kernel, mixture: theirs.
        data: which they are, indices `[b]`; None for all of them.
    """

    density: Density
    kernel: Kernel
    mixture: Mixture
    data: Tensor | None

    @classmethod
    def of(cls, densities: Densities, tuned: Tuned, due: Tensor) -> "Mover | None":
        """HMC on the data that are due `[B]`; None if none is."""
        kernel, mixture = tuned.kernel, tuned.mixture
        if bool(due.all()):
            return cls(densities.gradient, kernel, mixture, None)
        if not bool(due.any()):
            return None
        data = due.nonzero().flatten()
        return cls(densities.on(data), kernel.select(data), mixture.select(data), data)

    def move(self, state: State, momentum: Tensor, uniform: Tensor, jitter: Tensor) -> Moved:
        """Move the chains of these data, and no others."""
        data = slice(None) if self.data is None else self.data
        start = evaluate(self.density, on_grid(state.u[:, data], deviations(self.kernel.scale)))
        point, move = transition(
            self.density, start, self.kernel, momentum[:, data], uniform[:, data], jitter=jitter[data]
        )
        log_w = point.log_p - self.mixture.log_density(point.u)
        new = State(*(self._put(*pair) for pair in zip(state, (point.u, point.log_p, log_w), strict=True)))
        still = _still(state)
        return Moved(
            new,
            self._put(still.acceptance, move.acceptance),
            self._put(still.num_steps, move.num_steps + 1),  # and the gradient where it starts
            self._put(still.diverging, move.diverging),
        )

    def _put(self, old: Tensor, new: Tensor) -> Tensor:
        """The old values with the new ones in the place of these data."""
        new = new.to(old.dtype)
        return new if self.data is None else old.index_copy(1, self.data, new)


@dataclass(frozen=True)
class Moves:
    """The frozen moves of all data.

    Attributes:
        schedule: what a draw of each datum consists of.
        movers: HMC on the data that are due when a draw's index is a multiple of the key; None if none is.
    """

    schedule: Schedule
    movers: dict[int, Mover | None]

    @classmethod
    def of(cls, densities: Densities, tuned: Tuned) -> "Moves":
        """The moves that warm-up has learned."""
        schedule = Schedule.of(tuned.acceptance, tuned.easy)
        if not densities.coordinates.target.sliceable:  # all data move together
            schedule = replace(schedule, period=schedule.period.amin().expand_as(schedule.period))
        return cls(schedule, {p: Mover.of(densities, tuned, schedule.period <= p) for p in PERIODS})

    def hmc(self, state: State, momentum: Tensor, uniform: Tensor, index: int) -> Moved:
        """Move the data that are due at a draw."""
        mover = self.movers[max(p for p in self.movers if index % p == 0)]
        if mover is None:
            return _still(state)
        return mover.move(state, momentum, uniform, self.schedule.jitter(index))


def _still(state: State) -> Moved:
    """No chain moves."""
    zero = torch.zeros_like(state.log_p)
    return Moved(state, zero, zero.long(), zero.bool())
