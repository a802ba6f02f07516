"""The ladder of all data, in chunks that keep the byte budget."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import bytes_or_default, cells_within, plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.densities import Densities
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.gap.exploded import why_exploded
from elbowroom.inference.gap.families.family import Family, joined
from elbowroom.inference.gap.families.fitting import NUM_POINTS, points_of
from elbowroom.inference.gap.families.reading import read_guide
from elbowroom.inference.gap.families.scoring import NUM_SHIFTS, held_bytes
from elbowroom.inference.gap.rungs import NUM_COMPONENTS, RUNGS, Climber, starts_of
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.progress import Tick
from elbowroom.inference.target import Target

ENCODER = "encoder"
"""The first rung of every ladder: the guide as it is."""

_MOST_POINTS = 1024  # posterior draws that starts are read off
_NEARLY_ALL = 0.8  # of the randomisations: 13 of 16 by chance once in a hundred


@dataclass(frozen=True)
class Climbed:
    """What the ladder found.

    Attributes:
        elbo: rung -> ELBO under R randomisations, `[R, B]`; `"encoder"` first. Values never fall from rung to rung.
        tried: rung -> standard error of the comparison that it won or lost, `[B]`.
        slack: rung -> nats to the best member nearby and its error, `[B]` (not for mixtures).
        families: rung -> members in unconstrained coordinates.
        is_gaussian, is_diagonal: what the guide is, `[B]`.
        exploded: for each datum why its encoder output is not usable, or an empty string.
        num_evaluations: `[B]`.
    """

    elbo: dict[str, Tensor]
    tried: dict[str, Tensor]
    slack: dict[str, tuple[Tensor, Tensor]]
    families: dict[str, Family]
    is_gaussian: Tensor
    is_diagonal: Tensor
    exploded: tuple[str, ...]
    num_evaluations: Tensor


def climb(
    target: Target,
    rungs: list[str],
    num_samples: int,
    draws: Draws | None,
    seed: int,
    memory_bytes: int | None,
    tick: Tick,
) -> Climbed:
    """The encoder and every rung on the same quasi-random draws."""
    coordinates = Coordinates.of(target)
    densities = Densities.of(coordinates, cells_within(target, memory_bytes))
    rows = _rows(target, coordinates.dim, rungs, num_samples, memory_bytes)
    pieces = []
    for first in range(0, len(target), rows):
        # The last chunk is made up to full size by its own data, so that one record serves all.
        chunk = torch.arange(first, min(first + rows, len(target)))
        padded = torch.cat([chunk, chunk[:1].expand(rows - len(chunk))])
        part = densities.at(coordinates.at(padded)) if target.sliceable else densities
        some = None if draws is None else draws.select(padded.tolist())
        pieces.append(_first(_climb(part, rungs, num_samples, some, seed), len(chunk)))
        tick(len(chunk))
    return _together(pieces)


def _rows(target: Target, dim: int, rungs: list[str], num_samples: int, memory_bytes: int | None) -> int:
    """Data at once: their draws with gradients, and what an evaluation holds, must fit in the budget."""
    num_components = NUM_COMPONENTS if "mixture" in rungs else 1
    most_points = max(num_samples // NUM_SHIFTS, NUM_POINTS, num_components * points_of(num_components, dim))
    cut = plan(target, most_points, memory_bytes, gradients=True)
    held = held_bytes(dim, num_components)
    most = max(1, bytes_or_default(memory_bytes) // held)
    return min(cut.rows, most) if target.sliceable else cut.rows


def _climb(densities: Densities, rungs: list[str], num_samples: int, draws: Draws | None, seed: int) -> Climbed:
    coordinates = densities.coordinates
    start = read_guide(coordinates, seed)
    points = None if draws is None else _points(coordinates, draws)
    climber = Climber(densities, RandomNumbers(coordinates.target, seed), num_samples // NUM_SHIFTS, points)
    exploded, prior = why_exploded(coordinates, start.family, start.is_finite, seed)
    bad = torch.tensor([bool(told) for told in exploded], device=start.is_finite.device)
    sane = prior.where(bad, start.family) if start.family.is_diagonal else prior.full().where(bad, start.family)
    best = _encoder(climber, start.is_gaussian & ~bad, sane, num_samples // NUM_SHIFTS, seed)
    elbo, tried, slack, families = {ENCODER: best}, {}, {}, {}
    found = [sane, *([] if points is None else starts_of(points))]
    cost = torch.full((len(exploded),), num_samples)
    top, known = sane, start.is_gaussian & ~bad  # the best member so far, unless that is an encoder of another kind
    for name in rungs:
        rung = RUNGS[name](climber, found)
        better = _is_better(rung.evaluation.elbo, best)
        tried[name] = ((rung.evaluation.elbo - best).std(0) / NUM_SHIFTS**0.5).nan_to_num(torch.inf)
        kept = known & ~better & (start.is_diagonal if rung.family.is_diagonal else torch.ones_like(known))
        best = torch.where(better, rung.evaluation.elbo, best)
        elbo[name], families[name] = best, rung.family.where(~kept, top.formed_as(rung.family))
        fitted = rung.family if top.is_diagonal else rung.family.full()
        top = fitted.where(better | ~known, top.formed_as(fitted))
        known = torch.ones_like(known)
        if rung.evaluation.slack is not None:
            slack[name] = rung.evaluation.slack
        found, cost = [top, *found[1:]], cost + rung.num_evaluations
    return Climbed(elbo, tried, slack, families, start.is_gaussian, start.is_diagonal, exploded, cost)


def _is_better(elbo: Tensor, before: Tensor) -> Tensor:
    """Better beyond noise: the mean gain over twice its error, or a gain in nearly every randomisation, `[B]`.

    The error alone would keep an encoder whose ELBO rests on a few draws far out: the worse it is, the larger its
    error.
    """
    gain = (elbo - before.nan_to_num(-torch.inf, neginf=-torch.inf)).nan_to_num(0.0, torch.inf, -torch.inf)
    mean, share = gain.mean(0), (gain > 0).double().mean(0)
    return (mean > 2 * gain.std(0) / len(gain) ** 0.5) | ((mean > 0) & (share > _NEARLY_ALL))


def _points(coordinates: Coordinates, draws: Draws) -> Tensor:
    """At most 1024 draws in unconstrained coordinates, `[M, B, D]`, float64."""
    z = {name: value.flatten(0, 1).to(coordinates.target.device) for name, value in draws.z.items()}
    step = max(1, -(-len(next(iter(z.values()))) // _MOST_POINTS))
    with torch.no_grad():
        return coordinates.unconstrain({name: value[::step] for name, value in z.items()}).double()


def _encoder(climber: Climber, is_gaussian: Tensor, family: Family, num_points: int, seed: int) -> Tensor:
    """The guide's ELBO, `[R, B]`: on the common draws where it is Gaussian, else on draws of its own."""
    common = climber.evaluated(family).elbo
    other = (~is_gaussian).nonzero().flatten()
    if not len(other):
        return common
    target = climber.densities.coordinates.target
    part = target.select(other) if target.sliceable else target
    with torch.no_grad():
        own = [
            part.log_weights(num_points, seed=seed + 1, start=i * num_points).double().mean(0)
            for i in range(NUM_SHIFTS)
        ]
    known = torch.stack(own).to(common.device)
    return common.index_copy(1, other, known if target.sliceable else known[:, other])


def _first(found: Climbed, count: int) -> Climbed:
    """Without the data that a chunk was made up with."""
    kept = torch.arange(count)
    return Climbed(
        {name: value[:, :count] for name, value in found.elbo.items()},
        {name: value[:count] for name, value in found.tried.items()},
        {name: (value[:count], error[:count]) for name, (value, error) in found.slack.items()},
        {name: family.select(kept) for name, family in found.families.items()},
        found.is_gaussian[:count],
        found.is_diagonal[:count],
        found.exploded[:count],
        found.num_evaluations[:count],
    )


def _together(parts: list[Climbed]) -> Climbed:
    one = parts[0]
    return Climbed(
        {name: torch.cat([p.elbo[name] for p in parts], 1) for name in one.elbo},
        {name: torch.cat([p.tried[name] for p in parts]) for name in one.tried},
        {
            name: (torch.cat([p.slack[name][0] for p in parts]), torch.cat([p.slack[name][1] for p in parts]))
            for name in one.slack
        },
        {name: joined([p.families[name] for p in parts]) for name in one.families},
        torch.cat([p.is_gaussian for p in parts]),
        torch.cat([p.is_diagonal for p in parts]),
        tuple(told for p in parts for told in p.exploded),
        torch.cat([p.num_evaluations for p in parts]),
    )
