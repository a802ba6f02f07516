"""log p(x) for a decomposition: the caller's, a lattice's, or annealed from the refined guide."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypedDict

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.same_data import check_same_data
from elbowroom.inference.evidence.annealing import anneal
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.evidence.quadrature.quadrature import MAX_LATTICE_DIM, quadrature
from elbowroom.inference.gap.refined import RefinedGuide
from elbowroom.inference.target import Target

LogP = Estimate | Bracket | Callable[[Target], Estimate | Bracket]
"""log p(x), or how to find it with a target whose guide is the largest refined family."""


class Sides(TypedDict, total=False):
    """How much is known of the sides of log p(x), for whatever is computed from it.

    Keys:
        half_width: half the distance of the lower and upper value of log p(x), `[B]`, nats, which no averaging over
            data makes smaller.
        one_sided: data whose log p(x) is known from below only, `[B]` bool.
    """

    half_width: Tensor
    one_sided: Tensor


class LogPInfo(Sides, total=False):
    """What is known of log p(x) besides its value: `Sides`, and where it is from.

    Keys:
        method: for each datum: `"given"`, `"quadrature"`, `"annealing"` or what a bracket says.
    """

    method: tuple[str, ...]


NUM_STEPS, NUM_CHAINS = 64, 16
"""Of annealing from the largest family."""


def log_evidence(
    target: Target, refined: RefinedGuide, given: LogP | None, seed: int, memory_bytes: int | None
) -> Estimate[LogPInfo]:
    """log p(x) of every datum.

    Raises:
        ValueError: if what was given is of other data.
    """
    if callable(given):
        given = given(refined.target())
    check_same_data(target, log_p=given)
    if isinstance(given, Bracket):
        return _settled(target, refined, given, seed, memory_bytes)
    if given is not None:
        return _told(given, "given")
    if not _suits_a_lattice(target):
        return _annealed(refined, seed, memory_bytes)
    # With the members found as guide: a lattice over an encoder's output that has exploded would never end.
    with torch.no_grad():
        exact = quadrature(refined.target(), memory_bytes=memory_bytes)
    failed = torch.tensor([bool(flag) for flag in exact.flags])
    if not bool(failed.any()) or not target.sliceable:
        return _told(exact, "quadrature")
    rows = failed.nonzero().flatten()
    some = _annealed(RefinedGuide(target.select(rows), _selected(refined, rows)), seed, memory_bytes)
    return _merged(_told(exact, "quadrature"), rows, some)


def log_evidence_from_guide(target: Target, num_samples: int, seed: int, memory_bytes: int | None) -> Estimate:
    """log p(x) of every datum from the guide as it is, by a lattice, annealing or, for discrete sites, S samples."""
    if any(latent.unconstrained is None for latent in target.structure.latents.values()):
        return importance(target, num_samples=num_samples, seed=seed, memory_bytes=memory_bytes)
    if _suits_a_lattice(target):
        with torch.no_grad():
            return quadrature(target, memory_bytes=memory_bytes)
    return anneal(target, seed=seed, memory_bytes=memory_bytes)


def _suits_a_lattice(target: Target) -> bool:
    """A lattice lets data go that are done: programs that cannot be given part of their data are annealed."""
    return Coordinates.of(target).dim <= MAX_LATTICE_DIM and (target.sliceable or len(target) == 1)


def _settled(
    target: Target, refined: RefinedGuide, found: Bracket, seed: int, memory_bytes: int | None
) -> Estimate[LogPInfo]:
    """The bracket, and annealing from the refined guide where a side of it is missing or flagged."""
    sides = zip(found.lower.flags, found.upper.flags, found.upper.value.isfinite().tolist(), strict=True)
    unsound = torch.tensor([bool(low or high) or not finite for low, high, finite in sides])
    middle, rows = between(found), unsound.nonzero().flatten()
    if not len(rows) or not target.sliceable:
        return middle
    some = _annealed(RefinedGuide(target.select(rows), _selected(refined, rows)), seed, memory_bytes)
    better = [i for i, row in enumerate(rows.tolist()) if some.value[i] > middle.value[row]]  # both bound from below
    return _merged(middle, rows[better], _picked(some, better))


def between(found: Bracket) -> Estimate[LogPInfo]:
    """The middle of a bracket; its error covers both sides (half their distance, and the larger error)."""
    lower, upper = found.lower, found.upper
    both = upper.value.isfinite() & lower.value.isfinite()
    half = torch.where(both, (upper.value - lower.value).clamp_min(0.0) / 2, 0.0)
    error = torch.where(both, torch.hypot(half, torch.maximum(lower.stderr, upper.stderr)), lower.stderr)
    middle = torch.where(both, (lower.value + upper.value) / 2, lower.value)
    methods = tuple(found.method(b) for b in range(len(found)))
    info: LogPInfo = {"method": methods, "half_width": half, "one_sided": ~both}
    return Estimate(middle, error, "none", info, found.flags)


def sides_of(log_p: Estimate[LogPInfo]) -> Sides:
    """What `between` says of the sides of log p(x), for whatever is computed from it."""
    sides: Sides = {}
    if "half_width" in log_p.info:
        sides["half_width"] = log_p.info["half_width"]
    if "one_sided" in log_p.info:
        sides["one_sided"] = log_p.info["one_sided"]
    return sides


def _annealed(refined: RefinedGuide, seed: int, memory_bytes: int | None) -> Estimate[LogPInfo]:
    start = refined.target()
    return _told(
        anneal(start, num_steps=NUM_STEPS, num_chains=NUM_CHAINS, seed=seed, memory_bytes=memory_bytes), "annealing"
    )


def _selected(refined: RefinedGuide, rows: Tensor) -> dict:
    return {name: family.select(rows) for name, family in refined.families.items()}


def _told(found: Estimate, method: str) -> Estimate[LogPInfo]:
    sided = torch.full((len(found),), found.bound == "lower")
    info: LogPInfo = {
        "method": (method,) * len(found),
        "half_width": torch.zeros_like(found.value),
        "one_sided": sided.to(found.value.device),
    }
    return replace(found, info=info)


def _picked(found: Estimate, rows: list[int]) -> Estimate:
    """An annealed estimate of some of its data."""
    flags = tuple(found.flags[row] for row in rows)
    return Estimate(found.value[rows], found.stderr[rows], found.bound, flags=flags)


def _merged(exact: Estimate[LogPInfo], rows: Tensor, some: Estimate) -> Estimate[LogPInfo]:
    """Annealing in place of what failed."""
    flags, methods = list(exact.flags), list(exact.info["method"])
    for row, flag in zip(rows.tolist(), some.flags, strict=True):
        flags[row], methods[row] = flag, "annealing"
    info: LogPInfo = {
        "method": tuple(methods),
        "half_width": exact.info["half_width"].index_fill(0, rows, 0.0),
        "one_sided": exact.info["one_sided"].index_fill(0, rows, True),
    }
    return Estimate(
        exact.value.index_copy(0, rows, some.value.to(exact.value)),
        exact.stderr.index_copy(0, rows, some.stderr.to(exact.stderr)),
        "none",
        info,
        tuple(flags),
    )
