"""log p(x) for a decomposition: the caller's, a lattice's, or annealed from the refined guide and from elsewhere."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor

from elbowroom.inference.estimate import Estimate
from elbowroom.inference.evaluation.check_same_data import check_same_data
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evidence.annealing import anneal
from elbowroom.inference.evidence.bracket import Bracket
from elbowroom.inference.evidence.importance.importance import importance
from elbowroom.inference.evidence.quadrature.quadrature import MAX_LATTICE_DIM, quadrature
from elbowroom.inference.gap.annealed import Ground, TwoOpinions, annealed_twice, part_of, put
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


class Evidence(NamedTuple):
    """log p(x) of every datum, and what annealing from the largest refined family says, NaN where it was not run."""

    log_p: Estimate[LogPInfo]
    from_refined: Estimate | None = None

    @property
    def is_claimed(self) -> bool:
        """Whether it claims to be log p(x), and not only a lower bound that the caller has."""
        return self.log_p.bound != "lower" or "given" not in self.log_p.info["method"]


def log_evidence(
    refined: RefinedGuide,
    given: LogP | None,
    ground: Ground,
    seed: int,
    memory_bytes: int | None,
) -> Evidence:
    """log p(x) of every datum.

    Args:
        refined: the members that the ladder reached.
        given: what the caller knows.
        ground: what else the ladder has found out.
        seed: of everything random.
        memory_bytes: byte budget for one evaluation.

    Raises:
        ValueError: if what was given is of other data.
    """
    target = refined.base
    if callable(given):
        given = given(refined.target())
    check_same_data(target, log_p=given)
    if isinstance(given, Bracket):
        return _of_bracket(refined, given, ground, seed, memory_bytes)
    if given is not None:
        return Evidence(_with_info(given, "given"))
    if not _suits_a_lattice(target):
        annealed = annealed_twice(refined, ground, seed, memory_bytes)
        return Evidence(_with_info(annealed.log_p, "annealing"), annealed.from_refined)
    # With the members found as guide: a lattice over an encoder's output that has exploded would never end.
    with torch.no_grad():
        exact = quadrature(refined.target(), memory_bytes=memory_bytes)
    failed = torch.tensor([bool(flag) for flag in exact.flags])
    if not bool(failed.any()) or not target.sliceable:
        return Evidence(_with_info(exact, "quadrature"))
    data = failed.nonzero().flatten()
    annealed = annealed_twice(refined.select(data), ground.select(data), seed, memory_bytes)
    return Evidence(_merged(_with_info(exact, "quadrature"), data, annealed.log_p), _of_some(target, data, annealed))


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


def _of_bracket(
    refined: RefinedGuide,
    bracket: Bracket,
    ground: Ground,
    seed: int,
    memory_bytes: int | None,
) -> Evidence:
    """The middle of a bracket, and annealing where a side of it is missing or flagged."""
    sides = zip(bracket.lower.flags, bracket.upper.flags, bracket.upper.value.isfinite().tolist(), strict=True)
    unsound = torch.tensor([bool(low or high) or not finite for low, high, finite in sides])
    middle, data = between(bracket), unsound.nonzero().flatten()
    if not len(data) or not refined.base.sliceable:
        return Evidence(middle)
    annealed = annealed_twice(refined.select(data), ground.select(data), seed, memory_bytes)
    better = (annealed.log_p.value > middle.value[data]).nonzero().flatten()  # both bound from below
    log_p = _merged(middle, data[better], part_of(annealed.log_p, better))
    return Evidence(log_p, _of_some(refined.base, data, annealed))


def between(bracket: Bracket) -> Estimate[LogPInfo]:
    """The middle of a bracket; its error covers both sides (half their distance, and the larger error)."""
    lower, upper = bracket.lower, bracket.upper
    both = upper.value.isfinite() & lower.value.isfinite()
    half = torch.where(both, (upper.value - lower.value).clamp_min(0.0) / 2, 0.0)
    error = torch.where(both, torch.hypot(half, torch.maximum(lower.stderr, upper.stderr)), lower.stderr)
    middle = torch.where(both, (lower.value + upper.value) / 2, lower.value)
    methods = tuple(bracket.method(b) for b in range(len(bracket)))
    info: LogPInfo = {"method": methods, "half_width": half, "one_sided": ~both}
    return Estimate(middle, error, "none", info, bracket.flags)


def sides_of(log_p: Estimate[LogPInfo]) -> Sides:
    """What `between` says of the sides of log p(x), for whatever is computed from it."""
    sides: Sides = {}
    if "half_width" in log_p.info:
        sides["half_width"] = log_p.info["half_width"]
    if "one_sided" in log_p.info:
        sides["one_sided"] = log_p.info["one_sided"]
    return sides


def _of_some(target: Target, data: Tensor, annealed: TwoOpinions) -> Estimate:
    """What annealing from the refined guide says of some of the data; NaN for the others."""
    nothing = torch.full((len(target),), torch.nan, dtype=torch.float64)
    return put(Estimate(nothing, nothing, "lower"), data, annealed.from_refined)


def _with_info(estimate: Estimate, method: str) -> Estimate[LogPInfo]:
    """The estimate with where it is from and what is known of its sides."""
    one_sided = torch.full((len(estimate),), estimate.bound == "lower")
    info: LogPInfo = {
        "method": (method,) * len(estimate),
        "half_width": torch.zeros_like(estimate.value),
        "one_sided": one_sided.to(estimate.value.device),
    }
    return replace(estimate, info=info)


def _merged(estimate: Estimate[LogPInfo], data: Tensor, annealed: Estimate) -> Estimate[LogPInfo]:
    """The estimate with that of annealing in its place for some of the data."""
    flags, methods = list(estimate.flags), list(estimate.info["method"])
    for b, flag in zip(data.tolist(), annealed.flags, strict=True):
        flags[b], methods[b] = flag, "annealing"
    info: LogPInfo = {
        "method": tuple(methods),
        "half_width": estimate.info["half_width"].index_fill(0, data, 0.0),
        "one_sided": estimate.info["one_sided"].index_fill(0, data, True),
    }
    return Estimate(
        estimate.value.index_copy(0, data, annealed.value.to(estimate.value)),
        estimate.stderr.index_copy(0, data, annealed.stderr.to(estimate.stderr)),
        "none",
        info,
        tuple(flags),
    )
