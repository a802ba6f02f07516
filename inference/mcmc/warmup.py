"""Warm-up: find the posterior of each datum, adapt the kernel to it, then freeze it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.leapfrog import Density, Point, evaluate
from elbowroom.inference.mcmc.metric import fit_scale, size
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.population import NUM_POINTS, from_mixture
from elbowroom.inference.mcmc.search import BELIEVED, Found, search
from elbowroom.inference.mcmc.step_size import DualAveraging
from elbowroom.inference.mcmc.trajectory import Chees, halton
from elbowroom.inference.mcmc.transition import Kernel, transition

USELESS = 0.02
"""Independence moves accepted less often than this are not worth their evaluations."""

SHORT = 3
"""Leapfrog steps of an HMC move at most where jumps do the travelling."""

_REFITS = 2  # of the proposal to its own weighed draws
_FIRST_STEP, _FIRST_LENGTH = 0.5, 1.5  # in units of the posterior's scale
_EASY = 0.65  # share of effective points in a proposal's draws from which on jumps do the travelling


@dataclass(frozen=True)
class Settings:
    """What the caller asked for."""

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
        kernel: of the HMC moves.
        mixture: what independence moves propose from.
        acceptance: expected acceptance of an independence move, `[B]`; zero where they are switched off.
        easy: whether jumps do the travelling, `[B]`, so that HMC moves may be few and short.
        point: the chains' positions.
        gradients, evaluations: gradients, and densities without gradient, spent so far, `[B]`.
    """

    kernel: Kernel
    mixture: Mixture
    acceptance: Tensor
    easy: Tensor
    point: Point
    gradients: Tensor
    evaluations: Tensor


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
        """What the next transition uses."""
        return Kernel(self.averaging.step_size, self.chees.length, self.scale, self.max_steps)


def warm_up(
    coordinates: Coordinates,
    density: Density,
    log_joint: Callable[[Tensor], Tensor],
    numbers: RandomNumbers,
    settings: Settings,
    tick: Callable[[int], None],
) -> Tuned:
    """Search, then HMC that adapts in two halves (the scale is learned between them), then a proposal for jumps."""
    found, starts = search(coordinates, log_joint, numbers, settings.num_chains, settings.start)
    point = evaluate(density, starts)
    zero = torch.zeros_like(point.log_p)
    state = _Adapting(
        point,
        DualAveraging.start(zero + _FIRST_STEP / coordinates.dim**0.25),
        Chees.start(zero[0] + _FIRST_LENGTH),
        found.scale,
        zero[0] + settings.num_chains,
        _most_steps(settings, found.ess > _EASY * NUM_POINTS),
    )
    middle, visited = settings.num_warmup // 2, starts.unsqueeze(0)
    for first, last in ((0, middle), (middle, settings.num_warmup)):
        if first < last:
            state, visited = _adapt(density, state, numbers, settings, (first, last), tick)
            state = _rescaled(state, visited, found)
    mixture, acceptance, easy, evaluations = _proposal(found, visited, log_joint, numbers, settings)
    most = _most_steps(settings, easy)
    kernel = Kernel(state.averaging.frozen, state.chees.length, state.scale, most)
    return Tuned(
        kernel=kernel,
        mixture=mixture,
        acceptance=acceptance,
        easy=easy,
        point=state.point,
        gradients=state.gradients,
        evaluations=torch.full_like(state.gradients, evaluations),
    )


def _most_steps(settings: Settings, easy: Tensor) -> Tensor:
    return torch.where(easy & settings.jumps, min(SHORT, settings.max_steps), settings.max_steps)


def _adapt(
    density: Density,
    state: _Adapting,
    numbers: RandomNumbers,
    settings: Settings,
    span: tuple[int, int],
    tick: Callable[[int], None],
) -> tuple[_Adapting, Tensor]:
    """Transitions `first … last − 1` with adapting step sizes and lengths; the states visited, `[W, C, B, D]`."""
    (first, last), chains = span, settings.num_chains
    dim, count = state.point.u.shape[-1], (last - first) * chains
    momenta = numbers.normal("warm-up momentum", count, dim, first * chains).unflatten(0, (-1, chains))
    uniforms = numbers.uniform("warm-up accept", count, first * chains).unflatten(0, (-1, chains))
    visited = []
    for n in range(last - first):
        jitter = halton(first + n)
        before, centre = state.point.u, state.point.u.mean(0)
        point, move = transition(density, state.point, state.kernel, momenta[n], uniforms[n], jitter)
        averaging = state.averaging.update(move.acceptance, settings.target_accept)
        step = averaging.frozen.mean(0)
        chees = state.chees.update(before, move, centre, state.scale, jitter, (step, state.max_steps * step))
        gradients = state.gradients + move.num_steps.sum(0)
        state = replace(state, point=point, averaging=averaging, chees=chees, gradients=gradients)
        visited.append(point.u)
        tick(chains)
    return state, torch.stack(visited)


def _rescaled(state: _Adapting, visited: Tensor, found: Found) -> _Adapting:
    """Learn the scale from the search where it is believed, else from the later half of the chains' states."""
    late = visited[len(visited) // 2 :]
    if len(late) < 4:
        return state
    # Within chains, so that modes which hold one chain each are not averaged over; draws in a row count for a third.
    within = (late - late.mean(0)).flatten(0, 1)
    learned = fit_scale(within, torch.full_like(found.ess, len(within) / 3))
    believed = (found.ess >= BELIEVED).reshape(-1, *(1,) * (learned.dim() - 1))
    scale = torch.where(believed, found.scale, learned)
    factor = size(state.scale) / size(scale)  # [B]
    sound = (factor > 1e-8) & (factor < 1e8)  # else the chains have not moved, or run away
    scale = torch.where(sound.reshape(believed.shape), scale, state.scale)
    factor = torch.where(sound, factor, 1.0)
    step = state.averaging.frozen * factor
    return replace(
        state,
        averaging=DualAveraging.start(step, ahead=2.0),
        chees=replace(state.chees, log_length=state.chees.log_length + factor.log()),
        scale=scale,
    )


def _proposal(
    found: Found, visited: Tensor, log_joint: Callable[[Tensor], Tensor], numbers: RandomNumbers, settings: Settings
) -> tuple[Mixture, Tensor, Tensor, int]:
    """Fit the mixture that jumps propose from to the search's points and the chains' states; measure its worth."""
    late = visited[len(visited) // 2 :].flatten(0, 1)
    index = torch.linspace(0, len(late) - 1, NUM_POINTS, device=late.device).round().long()
    states = late[index]
    odd = torch.arange(NUM_POINTS, device=late.device).reshape(-1, 1, 1) % 2 == 1
    trusted = (found.ess >= BELIEVED).unsqueeze(-1)
    mixture = Mixture.fit(torch.where(trusted & odd, found.points, states))
    if not settings.jumps:
        return mixture, torch.zeros_like(found.ess), found.ess < 0, found.evaluations
    # The chains keep a part of the points, so that a mode which only they know keeps a component.
    keep = torch.arange(NUM_POINTS, device=late.device).reshape(-1, 1, 1) % 8 == 0
    learned = Found(states, torch.full_like(found.ess, BELIEVED), found.scale, found.evaluations)
    for r in range(_REFITS):
        population = from_mixture(mixture, numbers, f"proposal {r}", NUM_POINTS, log_joint)
        learned = learned.improved(population, numbers.uniform(f"proposal {r}: resample", 1)[0])
        mixture = Mixture.fit(torch.where(keep, states, learned.points))
    population = from_mixture(mixture, numbers, "proposal", NUM_POINTS, log_joint)
    spent = learned.evaluations + NUM_POINTS
    acceptance = population.acceptance
    acceptance = torch.where(acceptance < USELESS, 0.0, acceptance)
    return mixture, acceptance, population.ess > _EASY * NUM_POINTS, spent
