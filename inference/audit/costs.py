"""What the parts of an audit cost before they have run, and how much of each there is room for."""

from dataclasses import replace

from elbowroom.inference.evaluation.clock import Clock
from elbowroom.inference.evidence.bracket.forecast import WORK, Amount, Forecast, Work
from elbowroom.inference.evidence.bracket.pace import Pace
from elbowroom.inference.mcmc.expedition import NUM_PARTICLES, NUM_SAMPLES
from elbowroom.inference.programs.evaluations import GRADIENT
from elbowroom.inference.target import Target

SEARCH, USE, CALIBRATION, EXAMINATION = "search from the prior", "use of the latents", "calibration", "examination"
DRAWN, COMPARED = "chains of the examination", "comparison with the chains"
"""The two steps of each block of the examination."""

_MOVES = 30  # of the particles of a search, about


def _drawn(dim: int, growth: float) -> Amount:
    """Chains of twice the draws of a bracket's."""
    chains = WORK["chains"](dim, 2 * growth)
    return Amount(0.7 * chains.calls, 0.5 * chains.points, fits=8, fits_once=20)


def _compared(dim: int, growth: float) -> Amount:
    """A ladder, a bracket and agreement with the chains."""
    chains = WORK["chains"](dim, 2 * growth)
    return Amount(0.4 * chains.calls, 1.5 * chains.points, fits=22, fits_once=150)


_WORK: dict[str, Work] = {
    SEARCH: lambda dim, growth: Amount(
        4 * _MOVES, GRADIENT * _MOVES * NUM_PARTICLES + 1.5 * NUM_SAMPLES, fits=6, fits_once=40
    ),
    USE: lambda dim, growth: Amount(100, 8000),
    CALIBRATION: lambda dim, growth: Amount(30, 740, 0.35, 60),  # of a simulated data set
    DRAWN: _drawn,
    COMPARED: _compared,
}


def pace_of(target: Target, clock: Clock) -> Pace:
    """A pace that knows the parts of an audit as well as the steps of a bracket."""
    forecast = Forecast.of(target, clock.counts)
    return Pace(clock, replace(forecast, work=WORK | _WORK, known=forecast.known | {USE, CALIBRATION}))


class NoRoom(ValueError):
    """Raised in the place of a part that the budget has no room for: what it would take."""

    def __init__(self, pace: Pace, what: str, cost: float) -> None:
        super().__init__(
            f"{what} takes about {pace.clock.says(cost)}, for which the budget of "
            f"{pace.clock.says(pace.clock.budget)} has no room"
        )
