"""The ladder of all data, in chunks that keep the byte budget."""

from dataclasses import replace

import torch
from torch import Tensor

from elbowroom.inference.evaluation.budget import bytes_or_default, cells_within, plan
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.families.bent import Member
from elbowroom.inference.families.family import Family
from elbowroom.inference.families.fitting import NUM_POINTS
from elbowroom.inference.families.fitting import points_of as draws_of_a_step
from elbowroom.inference.families.from_guide import read_guide
from elbowroom.inference.families.scoring import NUM_SHIFTS, Evaluation, held_bytes
from elbowroom.inference.gap.bent_rung import Bent, bend_members
from elbowroom.inference.gap.climbed import ENCODER, Climbed, first, together
from elbowroom.inference.gap.elsewhere import Elsewhere, apart, explored, modes_of, seen_by
from elbowroom.inference.gap.exploded_outputs import why_exploded
from elbowroom.inference.gap.own_family import OWN_FAMILY, NoiseDensities, in_noise
from elbowroom.inference.gap.rungs import FLOW, NUM_COMPONENTS, Climber, Rung, fit_rung, is_better
from elbowroom.inference.mcmc.draws import Draws
from elbowroom.inference.mcmc.expedition import NUM_PARTICLES
from elbowroom.inference.mcmc.metric import MAX_DENSE
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.progress import Tick
from elbowroom.inference.target import Target


def climb(
    target: Target,
    rungs: list[str],
    num_samples: int,
    draws: Draws | None,
    seed: int,
    memory_bytes: int | None,
    tick: Tick,
) -> Climbed:
    """Score the encoder and every rung on the same quasi-random draws."""
    coordinates = Coordinates.of(target)
    path = Path(coordinates, "prior")
    densities = Densities.of(coordinates, cells_within(target, memory_bytes))
    data_at_once = _data_at_once(target, coordinates.dim, rungs, num_samples, memory_bytes)
    pieces = []
    for begin in range(0, len(target), data_at_once):
        # The last chunk is made up to full size by its own data, so that one record serves all.
        chunk = torch.arange(begin, min(begin + data_at_once, len(target)))
        padded = torch.cat([chunk, chunk[:1].expand(data_at_once - len(chunk))])
        part = densities.at(coordinates.at(padded)) if target.sliceable else densities
        part_draws = None if draws is None else draws.select(padded.tolist())
        numbers = RandomNumbers(part.coordinates.target, seed)
        if part_draws is not None:
            elsewhere = seen_by(part.coordinates, part_draws)
        else:
            elsewhere = explored(part, path.on(part.coordinates.target), numbers)
        climber = Climber(part, numbers, num_samples // NUM_SHIFTS, elsewhere.points)
        own = _in_noise(climber, part) if OWN_FAMILY in rungs else None
        pieces.append(first(_climb(climber, own, rungs, num_samples, elsewhere, seed), len(chunk)))
        tick(len(chunk))
    return together(pieces)


def _data_at_once(target: Target, dim: int, rungs: list[str], num_samples: int, memory_bytes: int | None) -> int:
    """How many data are refined at once: their draws with gradients, and what an evaluation holds, must fit."""
    num_components = NUM_COMPONENTS if "mixture" in rungs else 1
    of_a_step = num_components * draws_of_a_step(num_components, dim)
    most_points = max(num_samples // NUM_SHIFTS, NUM_POINTS, NUM_PARTICLES, of_a_step)
    evaluated = plan(target, most_points, memory_bytes, gradients=True).data_at_once
    held = max(1, bytes_or_default(memory_bytes) // held_bytes(dim, num_components))
    return min(evaluated, held) if target.sliceable else evaluated


def _in_noise(climber: Climber, part: Densities) -> Climber:
    """The same data in the guide's noise."""
    densities = NoiseDensities(part.coordinates, part.cells)
    points = None if climber.points is None else densities.points(climber.points)
    return replace(climber, densities=densities, points=points)


def _climb(
    climber: Climber, own: Climber | None, rungs: list[str], num_samples: int, elsewhere: Elsewhere, seed: int
) -> Climbed:
    """Climb the ladder with the data of one chunk."""
    coordinates = climber.densities.coordinates
    start = read_guide(coordinates, seed)
    exploded, prior = why_exploded(coordinates, start.family, start.is_finite, seed)
    bad = torch.tensor([bool(reason) for reason in exploded], device=start.is_finite.device)
    sane = prior.where(bad, start.family) if start.family.is_diagonal else prior.full().where(bad, start.family)
    is_member = start.is_gaussian & ~bad
    if own is None:
        encoder = _encoder(climber, is_member, sane, num_samples // NUM_SHIFTS, seed)
        reached = torch.where(is_member, encoder, -torch.inf)
    else:
        encoder = own.evaluated(in_noise(coordinates)).elbo
        reached = torch.where(is_member, climber.evaluated(sane).elbo, -torch.inf)
    ascent = _Ascent(encoder, torch.full((len(exploded),), num_samples + elsewhere.cost))
    if own is not None:
        ascent.take(OWN_FAMILY, *_own_rung(own, encoder))
    top, away = sane, None  # the best member so far, which has reached so much
    bases: list[Family] = []  # that member before it became a mixture
    for name in (name for name in rungs if name not in (OWN_FAMILY, FLOW)):
        rung = fit_rung(climber, name, top, away)
        better = is_better(rung.evaluation.elbo, reached)
        stays = ~better & (start.is_diagonal if rung.family.is_diagonal else torch.ones_like(better))
        if rung.family.num_components > 1:
            bases.append(top)
        ascent.take(name, rung, rung.family.where(~stays, top.formed_as(rung.family)))
        fitted = rung.family if top.is_diagonal else rung.family.full()
        top = fitted.where(better, top.formed_as(fitted))
        reached, away = torch.where(better, rung.evaluation.elbo, reached), rung.elsewhere
    if FLOW in rungs:
        ascent.bend(bend_members(climber, [*bases, top], reached))
    several = torch.zeros_like(bad)
    if elsewhere.points is not None and ascent.families[rungs[-1]].num_components == 1 and top.dim <= MAX_DENSE:
        several = apart(climber.everything, top, modes_of(elsewhere.points))
    return Climbed(
        ascent.elbo,
        ascent.tried,
        ascent.slack,
        ascent.families,
        ascent.shortfall,
        ascent.rivals,
        several.cpu(),
        (elsewhere.log_p, elsewhere.stderr),
        start.is_gaussian,
        start.is_diagonal,
        exploded,
        ascent.num_evaluations,
    )


class _Ascent:
    """What the rungs that were taken reach, under the names of `Climbed`."""

    def __init__(self, encoder: Tensor, num_evaluations: Tensor) -> None:
        self.best, self.short = encoder, torch.zeros_like(encoder[0])
        self.elbo, self.num_evaluations = {ENCODER: encoder}, num_evaluations
        self.tried: dict[str, Tensor] = {}
        self.slack: dict[str, tuple[Tensor, Tensor]] = {}
        self.families: dict[str, Member] = {}
        self.shortfall: dict[str, Tensor] = {}
        self.rivals: dict[str, Tensor] = {}

    def take(self, name: str, rung: Rung, family: Member) -> None:
        """Take a rung, with these members; its ELBO counts where it is above what has been reached beyond noise."""
        elbo = rung.evaluation.elbo
        self.tried[name] = ((elbo - self.best).std(0) / NUM_SHIFTS**0.5).nan_to_num(torch.inf)
        self.best = torch.where(is_better(elbo, self.best), elbo, self.best)
        self.elbo[name], self.families[name] = self.best, family
        if rung.evaluation.slack is not None:
            self.slack[name] = rung.evaluation.slack
        self.short = torch.maximum(self.short, rung.shortfall)
        self.shortfall[name], self.rivals[name] = self.short, rung.has_rival
        self.num_evaluations = self.num_evaluations + rung.num_evaluations

    def bend(self, bent: Bent) -> None:
        """Take the rung of bent members."""
        nothing = torch.zeros_like(bent.elbo[0])
        rung = Rung(bent.family.base, Evaluation(bent.elbo, None), bent.num_evaluations, nothing, nothing > 0, None)
        self.take(FLOW, rung, bent.family)


def _own_rung(own: Climber, encoder: Tensor) -> tuple[Rung, Family]:
    """The rung of the guide's own family, and its members: the encoder's output where no other one is better."""
    start = in_noise(own.densities.coordinates)
    rung = fit_rung(own, OWN_FAMILY, start, None)
    return rung, rung.family.where(is_better(rung.evaluation.elbo, encoder), start)


def _encoder(climber: Climber, is_gaussian: Tensor, family: Family, num_points: int, seed: int) -> Tensor:
    """The guide's ELBO, `[R, B]`: on the common draws where it is Gaussian, else on draws of its own."""
    common = climber.evaluated(family).elbo
    other = (~is_gaussian).nonzero().flatten()
    if not len(other):
        return common
    target = climber.densities.coordinates.target
    part = target.select(other) if target.sliceable else target
    with torch.no_grad():
        replicates = [
            part.log_weights(num_points, seed=seed + 1, start=i * num_points).double().mean(0)
            for i in range(NUM_SHIFTS)
        ]
    elbo = torch.stack(replicates).to(common.device)
    return common.index_copy(1, other, elbo if target.sliceable else elbo[:, other])
