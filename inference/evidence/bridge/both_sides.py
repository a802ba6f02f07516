"""Both bounds on log p(x) from one set of weights, of draws of any proposal that did not see them."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate, reasons
from elbowroom.inference.evaluation import budget
from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.weighted_draws import Sampler
from elbowroom.inference.evidence.importance.importance import ImportanceInfo, collect
from elbowroom.inference.evidence.importance.streaming import Drawn, Reduction, Wanted, reduce_weights
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.progress import silent
from elbowroom.inference.target import Target
from elbowroom.inference.weights.power_means import PowerSums, tangent

Proposal = Callable[[RandomNumbers, int, int], tuple[Tensor, Tensor]]
"""(random numbers, number of draws, index of the first) -> draws u `[S, B, D]` and log q(u) `[S, B]`, nats."""

_MOST_LOST = 0.01  # share of draws that cannot be weighed, above which a flag says so


def both_sides_of(
    target: Target,
    proposal_of: Callable[[Coordinates, slice], Proposal],
    num_samples: int,
    seed: int,
    memory_bytes: int | None,
) -> tuple[Estimate[ImportanceInfo], Estimate[ImportanceInfo]]:
    """A lower and an upper bound on log p(x_b), in expectation, from weights w = p(x, T(u)) |dT/du| / q(u), u ~ q.

    log mean w lies below log p(x) in expectation and, with c_1 and c_2 the means of w over either half,

        ½ (log c_1 + log c_2) + ½ (c_1 / c_2 + c_2 / c_1) − 1

    above it, for log lies below its tangents: for any q that the draws weighed had no part in.

    Args:
        target: programs and data.
        proposal_of: the proposal of some of the data, from their coordinates and which they are.
        num_samples: S.
        seed: the draws are a function of (seed, datum).
        memory_bytes: byte budget for one evaluation.

    Raises:
        ValueError: on a budget too small.
    """
    plan = budget.plan(target, num_samples, memory_bytes)
    pieces: list[Reduction] = []
    lost: list[Tensor] = []  # draws of each datum that cannot be weighed
    with torch.no_grad():
        for where, part in plan.data(target):
            coordinates = Coordinates.of(part)
            whole = Plan(len(part), len(part), plan.samples_at_once)
            lost.append(torch.zeros(len(part), dtype=torch.long))
            sampler = _weighing(coordinates, proposal_of(coordinates, where), lost[-1])
            pieces += reduce_weights(part, whole, num_samples, seed, Wanted(powers=(1.0,)), silent, sampler)
    lower = _flagged(collect(pieces, num_samples), torch.cat(lost) / num_samples)
    lower = replace(lower, unnormalised=target.unnormalised)
    value, stderr = (side.cpu() for side in tangent(_halves(pieces, num_samples)))
    constant = lower.info["constant_weights"]
    # Both rest on the same tail: what it leaves open is open above either.
    stderr = torch.where(constant, 0.0, torch.maximum(stderr, lower.stderr))
    return lower, Estimate(value, stderr, "upper", lower.info, lower.flags, target.unnormalised)


def from_mixture(mixture: Mixture, name: str) -> Proposal:
    """Draws of mixtures; `name` tells their random numbers from those of other uses."""
    dim = mixture.mean.shape[-1]

    def draw(numbers: RandomNumbers, num_samples: int, start: int) -> tuple[Tensor, Tensor]:
        u = mixture.sample(
            numbers.normal(f"{name}: normal", num_samples, dim, start),
            numbers.uniform(f"{name}: component", num_samples, start),
            numbers.uniform(f"{name}: width", num_samples, start),
        )
        return u, mixture.log_density(u)

    return draw


def _weighing(coordinates: Coordinates, proposal: Proposal, lost: Tensor) -> Sampler[Drawn]:
    """Weighted draws of the proposals of these data; those that cannot be weighed are counted in `lost`."""

    def sampler(target: Target, num_samples: int, seed: int, start: int) -> Drawn:
        u, log_q = proposal(RandomNumbers(target, seed), num_samples, start)
        log_w = coordinates.log_joint(u) - log_q
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
