"""Guide sites without a density: a Delta is a point mass unless its value moves with the guide's draws.

One that is a point in the model, too, always at the same value, is no latent: it is a function of the others.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.programs.log_prob import bijection, is_point, support_of
from elbowroom.inference.programs.requirements import ProgramError, Sites

_TRIES = 8
"""Runs of the guide in which every element of a Delta must have moved: auxiliary draws may be discrete."""


def shared_points(
    drawn: Sites, latents: Sites, again: Callable[[int], Sites], model: Callable[[Mapping[str, Tensor]], Sites]
) -> tuple[str, ...]:
    """The sites that are Deltas in both programs, always at the same value: both densities are one there.

    They follow from the other latents (an initial state that is known, a sum written down as a site), and nothing is to
    be integrated over. Deltas that carry a log density are not among them.

    Args:
        drawn: the guide's latent and auxiliary sites.
        latents: the model's latent sites at these draws.
        again: the guide's sites in a run on the noise of a seed.
        model: the model's latent sites, those of a mapping set to its values.
    """
    names = [name for name, site in drawn.items() if name in latents and is_delta(site) and is_delta(latents[name])]
    for seed in range(_TRIES):
        if not names:
            break
        guide = again(seed)
        own = model({name: site["value"] for name, site in guide.items() if name not in names})
        names = [name for name in names if name in guide and name in own and _same_point(guide[name], own[name])]
    return tuple(names)


def check_point_masses(drawn: Sites, latents: Sites, again: Callable[[int], Sites]) -> tuple[str, ...]:
    """Refuse Deltas that do not carry the density of auxiliary draws, but for points of discrete latents.

    AutoGuides draw an auxiliary u with a density, and give a latent the value T(u) by a Delta that carries the log
    Jacobian. Such a value moves, in each of its unconstrained coordinates, whenever the guide is run on other noise;
    one that stays is a point mass, whatever else the guide draws. As many numbers as move must have been drawn. On a
    discrete latent a point is a probability of one: log q = 0, and the weights are those of p(x) at that value, be it
    the same always or one that follows from the guide's other latents.

    Args:
        drawn: the guide's latent and auxiliary sites.
        latents: the model's latent sites at these draws: their supports say what the coordinates are.
        again: the guide's sites in a run on the noise of a seed.

    Returns:
        The discrete latents of which the guide reaches one value only, given its other draws.

    Raises:
        ProgramError: naming the site, and how to fix its value instead.
    """
    deltas = [name for name, site in drawn.items() if is_delta(site)]
    if not deltas:
        return ()
    first = {name: _coordinates(name, drawn, latents) for name in deltas}
    still = {name: torch.ones(u.shape, dtype=torch.bool, device=u.device) for name, u in first.items()}
    for seed in range(1, 1 + _TRIES):
        other = again(seed)
        for name in deltas:
            if name in other:
                still[name] &= _equal(_coordinates(name, other, latents), first[name])
        if not any(bool(fixed.any()) for fixed in still.values()):
            break
    discrete = [name for name in deltas if _is_discrete(latents.get(name))]
    points = tuple(name for name in discrete if bool(still[name].any()))
    for name, fixed in still.items():
        if bool(fixed.any()) and name not in points:
            part = "" if bool(fixed.all()) else " in some of its elements"
            raise ProgramError(point_mass(name, part))
    moved, helpers = carried(drawn, latents, points)
    if helpers < moved:  # discrete ones that follow from other latents, too, are of one value given these
        points = tuple(discrete)
        moved, helpers = carried(drawn, latents, points)
    if helpers < moved:
        raise ProgramError(
            f"the guide's Delta sites {deltas} have {moved} unconstrained values but follow from {helpers} auxiliary "
            "draws: their joint density is infinite on a surface and zero elsewhere, and no weight exists. Draw an "
            "auxiliary number for each of them."
        )
    return points


def carried(drawn: Sites, latents: Sites, points: tuple[str, ...]) -> tuple[int, int]:
    """How many unconstrained values a guide's Deltas have, points apart, and how many numbers auxiliary sites drew."""
    deltas = [name for name, site in drawn.items() if is_delta(site) and name not in points]
    moved = sum(_coordinates(name, drawn, latents).numel() for name in deltas)
    helpers = sum(
        math.prod(site["value"].shape) for name, site in drawn.items() if name not in latents and not is_delta(site)
    )
    return moved, helpers


def is_delta(site: Any) -> bool:
    """Whether a site's distribution, inside its wrappers, is a Delta."""
    return is_point(site["fn"])


def point_mass(name: str, part: str = "") -> str:
    """What is wrong with a point mass, and what to do."""
    return (
        f"guide site '{name}' is a point mass (Delta){part}: log q is infinite and no weight exists. Use a guide with "
        "spread, for example AutoNormal or AmortizedNormal (of AutoLaplaceApproximation, what "
        "laplace_approximation(...) returns); or fix the value in the model, which then is p(x) given it: "
        f"poutine.block(poutine.condition(model, data={{'{name}': value}}), hide=['{name}']), and the guide without "
        f"it: poutine.block(guide, hide=['{name}'])."
    )


def _same_point(guide: Any, model: Any) -> bool:
    carries = bool((guide["log_prob"] != 0).any()) or bool((model["log_prob"] != 0).any())
    return not carries and bool(_equal(guide["value"], model["value"]).all())


def _is_discrete(site: Any) -> bool:
    return site is not None and bool(getattr(support_of(site["fn"]), "is_discrete", False))


def _coordinates(name: str, sites: Sites, latents: Sites) -> Tensor:
    value: Tensor = sites[name]["value"]
    if name not in latents:
        return value
    try:
        coordinates: Tensor = bijection(latents[name]["fn"]).inv(value)
    except NotImplementedError:  # a discrete site, or a support that torch knows no coordinates of
        return value
    return coordinates


def _equal(a: Tensor, b: Tensor) -> Tensor:
    if a.shape != b.shape:
        return torch.zeros(b.shape, dtype=torch.bool, device=b.device)
    return (a == b) | (a.isnan() & b.isnan()) if a.is_floating_point() else a == b
