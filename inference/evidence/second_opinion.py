"""A second opinion on log p(x) that never sees the guide: a value that lies well below it has missed something.

A guide on one of several modes leaves no sign in its weights. Particles that are tempered from the prior (see
`mcmc/expedition.py`) find the others; a mixture fitted to them, refitted to its own weighed draws and weighed afresh
gives an estimate of p(x) that is unbiased. It is asked for where it is cheap and can see: up to sixteen latents, and
programs that need not be run sample by sample.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypedDict

import torch
from torch import Tensor

from elbowroom.inference.estimate import NEGLIGIBLE, Estimate, Info, reasons, room_for
from elbowroom.inference.evaluation.budget import cells_within, plan
from elbowroom.inference.evaluation.coordinates import Coordinates, why_no_coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.expedition import NUM_PARTICLES, NUM_SAMPLES, explore
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.target import Target

MOST_LATENTS = 16
"""Scalar latents up to which a search is sent unless it is asked for: beyond, particles from the prior see little."""

_GRADIENT = 3  # evaluations that cost, and hold, as much as one with its gradient
_KNOWN = 0.5  # standard error from which on an opinion contradicts nobody, nats
_TOO_LOW = 3.0  # standard errors below the opinion from which on a value is too low: few are so by chance
_FAINT = 5.0  # nats below a value, from where on an opinion knows less than a hundredth of the posterior
_EVEN = 0.25  # of its draws in effect, from which on an opinion says that a value above it is too high, too


class OpinionInfo(TypedDict):
    """What a search from the prior says besides log p̂(x).

    Keys:
        ess: effective number of the draws weighed, `[B]`.
        is_crowded: whether the particles show so many modes that others may well have been missed, `[B]` bool.
        num_evaluations: of log p(x, z), for each datum; a gradient counts as three.
    """

    ess: Tensor
    is_crowded: Tensor
    num_evaluations: int


def is_sent(target: Target, search: bool | None) -> bool:
    """Whether a search is sent: as it was asked for, or by itself where it is cheap and can see.

    Raises:
        ValueError: if it was asked for where there is nothing to search.
    """
    dim = 0 if why_no_coordinates(target) else Coordinates.of(target).dim
    if search and not dim:
        raise ValueError("search=True needs continuous latents with known supports, of which this target has none")
    return search if search is not None else 0 < dim <= MOST_LATENTS and target.layouts["model"] != "loop"


def second_opinion(target: Target, *, seed: int = 0, memory_bytes: int | None = None) -> Estimate[OpinionInfo]:
    """log p̂(x_b) by importance sampling from a mixture that was fitted to particles from the prior alone.

    Returns:
        Estimate with bound `"lower"`; value and stderr (delta method) `[B]`, nats; `info`: see `OpinionInfo`.

    Raises:
        NotImplementedError: if the prior cannot be drawn from.
    """
    coordinates = Coordinates.of(target)
    at_once = plan(target, NUM_PARTICLES, memory_bytes).data_at_once
    record = len(target) > 2 * at_once  # else it is over before a record is made
    densities = Densities.of(coordinates, cells_within(target, memory_bytes), record=record)
    path = Path(coordinates, "prior", record=record, cells=cells_within(target, memory_bytes, copies=_GRADIENT))
    columns: list[tuple[Tensor, ...]] = []
    cost = 0
    with torch.no_grad():
        for part in _chunks(densities, at_once):
            on = part.coordinates.target
            numbers = RandomNumbers(on, seed)
            found = explore(path.on(on), numbers, part.log_joint)
            columns.append((found.log_evidence, found.stderr, found.ess, found.is_crowded))
            cost = max(cost, _GRADIENT * found.gradients + found.evaluations)
    value, stderr, ess, crowded = (torch.cat(column)[: len(target)].cpu() for column in zip(*columns, strict=True))
    return Estimate(value, stderr, "lower", {"ess": ess, "is_crowded": crowded, "num_evaluations": cost})


def opinion_of(target: Target, search: bool | None, **options: Any) -> Estimate[OpinionInfo] | None:
    """The second opinion, if it is asked for: True, False, or None, where it is cheap and can see; None without one.

    Raises:
        ValueError: if it was asked for where there is nothing to search.
        NotImplementedError: if it was asked for and the prior cannot be drawn from.
    """
    if not is_sent(target, search):
        return None
    try:
        return second_opinion(target, **options)
    except NotImplementedError:  # a prior that has a density but cannot be drawn from
        if search:
            raise
        return None


def doubted(estimate: Estimate[Info], target: Target, search: bool | None, **options: Any) -> Estimate[Info]:
    """The estimate, its data flagged where a search from the prior found more than it has.

    Args:
        estimate: of the target's log p(x), from below.
        target: programs and data.
        search: as of `opinion_of`.
        **options: seed and memory_bytes.
    """
    opinion = opinion_of(target, search, **options)
    return estimate if opinion is None else estimate_beside(estimate, opinion)


def estimate_beside(estimate: Estimate[Info], opinion: Estimate[OpinionInfo]) -> Estimate[Info]:
    """The estimate, flagged where the opinion differs, or knows of too many modes to say much about the guide's."""
    found = opinion.value > estimate.value.double().cpu() - _FAINT  # else it has not found the posterior
    vague = opinion.info["is_crowded"] & (opinion.info["ess"] < _EVEN * NUM_SAMPLES) & found
    return _with(_with(estimate, found_more(estimate, opinion)), _crowded(vague))


def doubted_by_draws(estimate: Estimate[Info], draws: Draws) -> Estimate[Info]:
    """The estimate, its data flagged where the chains' own search from the prior found more than it has."""
    if "prior_ess" not in draws.info:
        return estimate
    info: OpinionInfo = {
        "ess": draws.info["prior_ess"],
        "is_crowded": draws.info["prior_crowded"],
        "num_evaluations": 0,
    }
    opinion = Estimate(draws.info["prior_log_p"], draws.info["prior_log_p_stderr"], "lower", info)
    return _with(estimate, doubts_of_descendants(estimate, opinion))


def doubts_of_descendants(estimate: Estimate[Any], opinion: Estimate[OpinionInfo]) -> list[str]:
    """Why to doubt an estimate that began with the opinion's own particles, datum by datum, or an empty string.

    That it agrees with them proves nothing: where they show too many modes it is doubted in any case.
    """
    return list(map(reasons, found_more(estimate, opinion), _crowded(opinion.info["is_crowded"])))


def found_more(estimate: Estimate[Any], opinion: Estimate[OpinionInfo]) -> list[str]:
    """For each datum by how much the opinion differs from the value beyond chance, in words, or an empty string.

    It bounds log p(x) from below, so a value below it is too low. A value above it, by less than half of the posterior
    would make, is doubted where a quarter of its draws count in effect: weights so even hide little. (One that lies
    farther below has not found the posterior.)
    """
    value, stderr = estimate.value.double().cpu(), estimate.stderr.double().cpu()
    more = opinion.value - value
    far = torch.where(
        more > 0, _TOO_LOW * torch.hypot(stderr, opinion.stderr) + NEGLIGIBLE, room_for(stderr, opinion.stderr)
    )
    beyond = (more.abs() > far) & (opinion.stderr <= _KNOWN)
    sees_above = (opinion.info["ess"] >= _EVEN * NUM_SAMPLES) & (more > -math.log(2)) & (estimate.bound != "upper")
    told = [""] * len(estimate)
    for b in (beyond & ((more > 0) | sees_above)).nonzero().flatten().tolist():
        said = f"a search from the prior says {opinion.value[b]:.3f} ± {opinion.stderr[b]:.3f}"
        told[b] = (
            f"{said} from below, {more[b]:.2f} nats more: a part of the posterior is missing here"
            if more[b] > 0
            else f"{said}, {-more[b]:.2f} nats less: one of the two is wrong"
        )
    return told


def _crowded(where: Tensor) -> list[str]:
    """What is told of data among whose modes some may be missing."""
    text = "particles from the prior show so many modes that others may well have been missed"
    return [text if many else "" for many in where.tolist()]


def _with(estimate: Estimate[Info], more: list[str]) -> Estimate[Info]:
    """The estimate with further reasons after its own."""
    return replace(estimate, flags=tuple(map(reasons, estimate.flags, more)))


def _chunks(densities: Densities, at_once: int) -> Iterator[Densities]:
    """The densities of at most so many data at a time; the last chunk is made up to full size by its own data."""
    target = densities.coordinates.target
    if not target.sliceable or len(target) <= at_once:
        yield densities
        return
    for first in range(0, len(target), at_once):
        rows = torch.arange(first, min(first + at_once, len(target)))
        padded = torch.cat([rows, rows[:1].expand(at_once - len(rows))])
        yield densities.at(densities.coordinates.at(padded))
