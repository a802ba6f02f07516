"""What the parts of an audit cost before they have run, and how much of each there is room for."""

from dataclasses import replace

from elbowroom.inference.evaluation.clock import Clock
from elbowroom.inference.evidence.bracket.forecast import WORK, Forecast, Work
from elbowroom.inference.evidence.bracket.pace import Pace
from elbowroom.inference.mcmc.expedition import NUM_PARTICLES, NUM_SAMPLES
from elbowroom.inference.programs.evaluations import GRADIENT
from elbowroom.inference.target import Target

SEARCH, USE, CALIBRATION, EXAMINATION = "search from the prior", "use of the latents", "calibration", "examination"

_MOVES = 30  # of the particles of a search, about
_BESIDE = 2.0  # an examination costs about so many times its chains: a ladder, a bracket and agreement beside them


def _examination(dim: int, growth: float) -> tuple[float, float]:
    calls, points = WORK["chains"](dim, 2 * growth)  # twice the draws of a bracket's
    return _BESIDE * calls, _BESIDE * points


_WORK: dict[str, Work] = {
    SEARCH: lambda dim, growth: (4 * _MOVES, GRADIENT * _MOVES * NUM_PARTICLES + 1.5 * NUM_SAMPLES),
    USE: lambda dim, growth: (100, 4500),
    CALIBRATION: lambda dim, growth: (100, 740),  # of a simulated data set
    EXAMINATION: _examination,
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
