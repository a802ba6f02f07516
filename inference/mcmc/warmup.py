"""Warm-up: find the posterior of each datum, adapt HMC to it, fit a proposal for jumps, then freeze them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.expedition import Expedition
from elbowroom.inference.mcmc.leapfrog import Density, Point, evaluate
from elbowroom.inference.mcmc.metric import deviations, fit_scale, rounded, size
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.mcmc.population import NUM_POINTS, from_mixture
from elbowroom.inference.mcmc.rounding import on_grid
from elbowroom.inference.mcmc.search import BELIEVED, Found, PosteriorPoints, search, with_particles
from elbowroom.inference.mcmc.step_size import DualAveraging
from elbowroom.inference.mcmc.trajectory import Chees, halton
from elbowroom.inference.mcmc.transition import Kernel, transition
from elbowroom.inference.progress import Tick

USELESS = 0.02
"""Independence moves accepted less often than this are not worth their evaluations."""

SHORT = 3
"""Leapfrog steps of an HMC move at most where jumps do the travelling."""

_REFITS = 2  # of the proposal to its own weighed draws
_KEPT = 8  # one in so many points stays the chains', so that a mode which only they know keeps a component
_FIRST_STEP, _FIRST_LENGTH = 0.5, 1.5  # in units of the posterior's scale
_EASY = 0.7  # share of effective points in a proposal's draws from which on jumps do the travelling


@dataclass(frozen=True)
class Settings:
    """The arguments of `hmc` that warm-up reads."""

    num_chains: int
    num_warmup: int
    start: str
    jumps: bool
    target_accept: float
    max_steps: int


@dataclass(frozen=True)
class Tuned:
    """A frozen kernel and where its chains stand.

    Attributes:
        kernel: step sizes, lengths and scales of the HMC moves.
        mixture: the proposal of the independence moves.
        acceptance: expected acceptance of an independence move, `[B]`; zero where they are switched off.
        easy: whether jumps do the travelling, `[B]`, so that HMC moves may be few and short.
        point: the chains' positions.
        gradients, evaluations: gradients, and densities without gradient, spent so far, `[B]`.
        expedition: what was found from the prior alone; None where none was sent.
    """

    kernel: Kernel
    mixture: Mixture
    acceptance: Tensor
    easy: Tensor
    point: Point
    gradients: Tensor
    evaluations: Tensor
    expedition: Expedition | None = None


@dataclass(frozen=True)
class _Adapting:
    """The state of adaptation between two transitions."""

    point: Point
    averaging: DualAveraging
    chees: Chees
    scale: Tensor
    gradients: Tensor
    max_steps: Tensor

    @property
    def kernel(self) -> Kernel:
        """The kernel of the next transition."""
        return Kernel(self.averaging.step_size, self.chees.length, self.scale, self.max_steps)


class _Jumps(NamedTuple):
    """A proposal for independence moves, its worth, `[B]` each, and what it cost."""

    mixture: Mixture
    acceptance: Tensor
    easy: Tensor
    evaluations: int


def warm_up(
    coordinates: Coordinates,
    density: Density,
    log_joint: Callable[[Tensor], Tensor],
    numbers: RandomNumbers,
    settings: Settings,
    tick: Tick,
    path: Path | None = None,
) -> Tuned:
    """Adapt the moves of every datum's chains to its posterior.

    Args:
        coordinates: the target's.
        density: log density of u and its gradient.
        log_joint: log density of u alone.
        numbers: the random numbers.
        settings: numbers of chains and transitions, where chains start, whether they jump, and limits.
        tick: called with the number of chains after every transition.
        path: from the prior to the joint, for an expedition; None sends none.
    """
    # Where is the posterior? Points of it, and starts that lie apart.
    found = search(coordinates, log_joint, numbers, num_chains=settings.num_chains, start=settings.start, path=path)
    points, starts, expedition = found.points, found.starts, found.expedition
    # HMC from there, in two halves; step sizes and lengths adapt all the time, the scale is learned after each half.
    state = _begin(density, starts, points, settings)
    middle, visited = settings.num_warmup // 2, starts.unsqueeze(0)
    for first, last in ((0, middle), (middle, settings.num_warmup)):
        if first < last:
            state, visited = _adapt(density, state, numbers, settings, range(first, last), tick)
            state = _rescaled(state, visited, points)
    # A proposal for jumps, from the points and from where the chains have been.
    jumps = _proposal(found, visited, log_joint, numbers, settings)
    # From here on nothing adapts.
    most = _most_steps(settings, jumps.easy)
    return Tuned(
        kernel=Kernel(state.averaging.frozen, state.chees.length, state.scale, most),
        mixture=jumps.mixture,
        acceptance=jumps.acceptance,
        easy=jumps.easy,
        point=state.point,
        gradients=state.gradients + (0 if expedition is None else expedition.gradients),
        evaluations=torch.full_like(state.gradients, jumps.evaluations),
        expedition=expedition,
    )


def _begin(density: Density, starts: Tensor, points: PosteriorPoints, settings: Settings) -> _Adapting:
    """The chains at their starts, with a first guess of everything."""
    point = evaluate(density, starts)
    zero = torch.zeros_like(point.log_p)
    return _Adapting(
        point=point,
        averaging=DualAveraging.start(zero + _FIRST_STEP / starts.shape[-1] ** 0.25),
        chees=Chees.start(zero[0] + _FIRST_LENGTH),
        scale=points.scale,
        gradients=torch.full_like(zero[0], settings.num_chains, dtype=torch.long),
        max_steps=_most_steps(settings, points.ess > _EASY * NUM_POINTS),
    )


def _most_steps(settings: Settings, easy: Tensor) -> Tensor:
    """Leapfrog steps of a move at most, `[B]`: few where jumps do the travelling."""
    return torch.where(easy & settings.jumps, min(SHORT, settings.max_steps), settings.max_steps)


def _adapt(
    density: Density,
    state: _Adapting,
    numbers: RandomNumbers,
    settings: Settings,
    span: range,
    tick: Tick,
) -> tuple[_Adapting, Tensor]:
    """Transitions of a span of warm-up, with adapting step sizes and lengths; the states visited, `[W, C, B, D]`."""
    chains, first = settings.num_chains, span.start
    dim, count = state.point.u.shape[-1], len(span) * chains
    momenta = numbers.normal("warm-up momentum", count, dim, first * chains).unflatten(0, (-1, chains))
    uniforms = numbers.uniform("warm-up accept", count, first * chains).unflatten(0, (-1, chains))
    visited, unit = [], deviations(state.scale)
    for index, momentum, uniform in zip(span, momenta, uniforms, strict=True):
        jitter = halton(index)
        before = on_grid(state.point.u, unit)  # its density stays the one that it had a millionth of an sd away
        centre = before.mean(0)
        start = replace(state.point, u=before)
        point, move = transition(density, start, state.kernel, momentum, uniform, jitter)
        averaging = state.averaging.update(move.acceptance, settings.target_accept).rounded()
        step = averaging.frozen.mean(0)
        chees = state.chees.update(
            before, move, centre=centre, scale=state.scale, jitter=jitter, bounds=(step, state.max_steps * step)
        )
        gradients = state.gradients + move.num_steps.sum(0)
        state = replace(state, point=point, averaging=averaging, chees=chees.rounded(), gradients=gradients)
        visited.append(point.u)
        tick(chains)
    return state, torch.stack(visited)


def _rescaled(state: _Adapting, visited: Tensor, points: PosteriorPoints) -> _Adapting:
    """Learn the scale from the search where it is believed, else from the later half of the chains' states."""
    late = visited[len(visited) // 2 :]
    if len(late) < 4:
        return state
    # Within chains, so that modes which hold one chain each are not averaged over; draws in a row count for a third.
    within = (late - late.mean(0)).flatten(0, 1)
    learned = rounded(fit_scale(within, torch.full_like(points.ess, len(within) / 3)))
    believed = (points.ess >= BELIEVED).reshape(-1, *(1,) * (learned.dim() - 1))
    scale = torch.where(believed, points.scale, learned)
    factor = size(state.scale) / size(scale)  # [B]
    sound = (factor > 1e-8) & (factor < 1e8)  # else the chains have not moved, or run away
    scale = torch.where(sound.reshape(believed.shape), scale, state.scale)
    factor = torch.where(sound, factor, 1.0)
    step = state.averaging.frozen * factor
    return replace(
        state,
        averaging=DualAveraging.start(step, ahead=2.0).rounded(),
        chees=replace(state.chees, log_length=state.chees.log_length + factor.log()),
        scale=scale,
    )


def _proposal(
    found: Found,
    visited: Tensor,
    log_joint: Callable[[Tensor], Tensor],
    numbers: RandomNumbers,
    settings: Settings,
) -> _Jumps:
    """Fit the mixture that jumps propose from to the search's points and the chains' states; measure its worth."""
    points = found.points
    late = visited[len(visited) // 2 :].flatten(0, 1)
    index = torch.linspace(0, len(late) - 1, NUM_POINTS, device=late.device).round().long()
    states = late[index]
    # Half of the points are the search's, where it is believed.
    place = torch.arange(NUM_POINTS, device=late.device).reshape(-1, 1, 1)
    trusted = (points.ess >= BELIEVED).unsqueeze(-1)
    every = torch.where(trusted & (place % 2 == 1), points.points, states)
    mixture = Mixture.fit(with_particles(every, found.expedition))
    if not settings.jumps:
        return _Jumps(mixture, torch.zeros_like(points.ess), points.ess < 0, points.evaluations)
    # Refit it to its own weighed draws, as population Monte Carlo does.
    best = replace(points, points=states, ess=torch.full_like(points.ess, BELIEVED))
    for r in range(_REFITS):
        population = from_mixture(mixture, numbers, f"proposal {r}", NUM_POINTS, log_joint)
        best = best.improved(population, numbers.uniform(f"proposal {r}: resample", 1)[0])
        kept = torch.where(place % _KEPT == 0, states, best.points)
        mixture = Mixture.fit(with_particles(kept, found.expedition))
    # What is it worth? New draws say, for those that it was fitted to flatter it.
    population = from_mixture(mixture, numbers, "proposal", NUM_POINTS, log_joint)
    acceptance = torch.where(population.acceptance < USELESS, 0.0, population.acceptance)
    return _Jumps(mixture, acceptance, population.ess > _EASY * NUM_POINTS, best.evaluations + NUM_POINTS)
