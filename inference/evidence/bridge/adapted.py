"""Importance sampling from mixtures that were fitted to posterior draws: log p(x) from below and from above."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate, both_sides, reasons
from elbowroom.inference.evaluation import budget
from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.weighted_draws import Sampler
from elbowroom.inference.evidence.importance.importance import ImportanceInfo, collect
from elbowroom.inference.evidence.importance.streaming import Drawn, Reduction, Wanted, reduce_weights
from elbowroom.inference.evidence.second_opinion import doubted_by_draws
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.progress import silent
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target
from elbowroom.inference.weights.power_means import PowerSums, tangent


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
    plan = budget.plan(target, num_samples, memory_bytes)
    pieces: list[Reduction] = []
    lost: list[Tensor] = []  # draws of each datum that cannot be weighed
    with torch.no_grad():
        for where, part in plan.data(target):
            coordinates = Coordinates.of(part)
            z = {name: value[:, :, where].flatten(0, 1).to(part.device) for name, value in draws.z.items()}
            mixture = Mixture.fit(_thinned(coordinates.unconstrain(z)))
            whole = Plan(len(part), len(part), plan.samples_at_once)
            lost.append(torch.zeros(len(part), dtype=torch.long))
            sampler = _from_mixture(coordinates, mixture, lost[-1])
            pieces += reduce_weights(part, whole, num_samples, seed, Wanted(powers=(1.0,)), silent, sampler)
    lower = _flagged(collect(pieces, num_samples), torch.cat(lost) / num_samples)
    lower = replace(lower, unnormalised=target.unnormalised)
    value, stderr = tangent(_halves(pieces, num_samples))
    constant = lower.info["constant_weights"]
    # Both rest on the same tail: what it leaves open is open above either.
    stderr = torch.where(constant, 0.0, torch.maximum(stderr, lower.stderr))
    upper = Estimate(value, stderr, "upper", lower.info, lower.flags, target.unnormalised)
    return Adapted(doubted_by_draws(lower, draws), doubted_by_draws(upper, draws))


_MOST_POINTS = 2048  # points that a mixture is fitted to
_MOST_LOST = 0.01  # share of draws that cannot be weighed, above which a flag says so


def _thinned(points: Tensor) -> Tensor:
    """At most 2048 of the draws `[N, B, D]`, evenly spaced."""
    step = -(-len(points) // _MOST_POINTS)
    return points[::step]


def _from_mixture(coordinates: Coordinates, mixture: Mixture, lost: Tensor) -> Sampler[Drawn]:
    """Weighted draws of the mixtures of these data; those that cannot be weighed are counted in `lost`."""

    def sampler(target: Target, num_samples: int, seed: int, start: int) -> Drawn:
        numbers = RandomNumbers(target, seed)
        u = mixture.sample(
            numbers.normal("adapted: normal", num_samples, coordinates.dim, start),
            numbers.uniform("adapted: component", num_samples, start),
            numbers.uniform("adapted: width", num_samples, start),
        )
        log_w = coordinates.log_joint(u) - mixture.log_density(u)
        # Far out in a tail a program may overflow: a point that it cannot weigh has no mass.
        lost.add_(log_w.isnan().sum(0).cpu())
        log_w = torch.where(log_w.isnan(), -torch.inf, log_w)
        return Drawn(log_w, log_w)

    return sampler


def _halves(pieces: list[Reduction], num_samples: int) -> PowerSums:
    """Sums of the weights and of their squares over either half of the samples, of all data."""
    parts = [piece.powers[1.0].sums() for piece in pieces]
    log_sums, log_squares = torch.cat([p.log_sums for p in parts], 1), torch.cat([p.log_squares for p in parts], 1)
    return PowerSums(1.0, log_sums, log_squares, num_samples)


def _flagged(lower: Estimate[ImportanceInfo], lost: Tensor) -> Estimate[ImportanceInfo]:
    """Flag the data whose programs are NaN not just far out, but where the draws are; `lost`: shares of them, `[B]`."""
    new = [
        f"the programs return NaN at {100 * share:.0f} % of the proposal's draws" if share > _MOST_LOST else ""
        for share in lost.tolist()
    ]
    flags = tuple(reasons(*pair) for pair in zip(lower.flags, new, strict=True))
    return replace(lower, flags=flags)
