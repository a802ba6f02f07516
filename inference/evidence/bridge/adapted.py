"""Importance sampling from mixtures that were fitted to posterior draws: log p(x) from below and from above."""

from typing import NamedTuple, Self

from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import Estimate, both_sides
from elbowroom.inference.evaluation.alone_in_company import asked_again
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.bridge.both_sides import Proposal, both_sides_of, from_mixture
from elbowroom.inference.evidence.importance.importance import ImportanceInfo
from elbowroom.inference.evidence.second_opinion import doubted_by_draws
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target


class _Sides(NamedTuple):
    lower: Estimate[ImportanceInfo]
    upper: Estimate[ImportanceInfo]


class Adapted(Shown, _Sides):
    """Both bounds from one set of weights: the pair (lower, upper)."""

    __slots__ = ()

    def as_table(self) -> Table:
        """The mean of both bounds, and the flagged or least certain data."""
        return both_sides(
            f"bounds on log p(x) of {len(self.lower)} data from one set of weights", self.lower, self.upper
        )

    @checked
    def doubted(self, reason: str) -> Self:
        """The same with a further reason for every datum in both bounds."""
        return type(self)(self.lower.doubted(reason), self.upper.doubted(reason))


@checked
@asked_again
def adapted_importance(
    target: Target, draws: Draws, *, num_samples: int = 4000, seed: int = 0, memory_bytes: int | None = None
) -> Adapted:
    """Estimate log p(x_b) by importance sampling from a mixture fitted to posterior draws of datum b.

    Fitting and weighing use different random numbers, so given the mixture the weights w = p(x, T(u)) |dT/du| / q(u)
    are unbiased: log mean w is a lower bound in expectation, whatever the draws are worth, and so is

        ½ (log c_1 + log c_2) + ½ (c_1 / c_2 + c_2 / c_1) − 1,   c_1 and c_2 the means of w over either half,

    an upper one, for log lies below its tangents (of the guide's weights it is `bounds(target)["upper-1"]`). Draws that
    miss a mode make both too low.

    Args:
        target: programs and data.
        draws: posterior draws of these data.
        num_samples: S, weighed draws of the mixture.
        seed: the weighed draws are a function of (seed, datum).
        memory_bytes: byte budget for one evaluation (default 256 MiB).

    Returns:
        lower and upper: values and stderr `[B]` in nats; `info` of both: see `ImportanceInfo`. Where the programs
        return NaN at more than a hundredth of the draws, a flag says so.

    Raises:
        ValueError: on fewer than two samples, draws of other data, or a budget too small.
    """
    target = target.collapsed()
    if num_samples < 2:
        raise ValueError(f"num_samples must be at least 2 (two halves), got {num_samples}")
    target.check_proper()
    check_same_data(target, draws=draws)

    def fitted(coordinates: Coordinates, where: slice) -> Proposal:
        return from_mixture(mixture_of(draws, coordinates, where), "adapted")

    lower, upper = both_sides_of(target, fitted, num_samples, seed, memory_bytes)
    return Adapted(doubted_by_draws(lower, draws), doubted_by_draws(upper, draws))


def mixture_of(draws: Draws, coordinates: Coordinates, where: slice = slice(None)) -> Mixture:
    """The mixtures fitted to the draws of some of their data, whose coordinates are given."""
    z = {n: v[:, :, where].flatten(0, 1).to(coordinates.target.device) for n, v in draws.z.items()}
    return Mixture.fit(_thinned(coordinates.unconstrain(z)))


_MOST_POINTS = 2048  # points that a mixture is fitted to


def _thinned(points: Tensor) -> Tensor:
    """At most 2048 of the draws `[N, B, D]`, evenly spaced."""
    step = -(-len(points) // _MOST_POINTS)
    return points[::step]
