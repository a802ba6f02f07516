"""An expedition that never sees the guide: tempered particles of every datum, from the prior to the posterior.

A guide that sits on one of several modes says nothing of the others, and whatever begins at its draws may stay there.
Particles that begin in the prior and follow its path to the posterior,

    f_β ∝ prior · likelihood^β,    0 = β_0 < β_1 < … < β_T = 1,

are divided among modes long before these are apart. They are few and their kernels adapt on the way, so their own
estimate of log p(x) is not reported; what they show is where to look. A mixture fitted to them, refitted to its own
weighed draws, is weighed afresh: that estimate of p(x) is unbiased, and independent of the guide.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.how_many import is_crowded
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.path import Ends, Path
from elbowroom.inference.mcmc.population import NUM_POINTS, Population, from_mixture, from_prior
from elbowroom.inference.mcmc.rounding import on_grid
from elbowroom.inference.mcmc.transition import Kernel

NUM_PARTICLES, NUM_STAGES = 256, 40
"""Particles of a datum, and temperatures at most."""

LEAST_DIM = 3
"""Coordinates from which on an expedition is sent: a plane, 256 draws of the prior cover themselves."""

NUM_SAMPLES = 4096
"""Draws of the mixture that are weighed for an estimate."""

_REFIT, _TEMPERED = 1024, 128.0  # draws that the mixture is refitted to, at least so many of them in effect
_NUM_PRIOR = 512  # draws of the prior, weighed without gradients, that the particles are chosen from
_FIRST_SHARE, _SHARE = 0.5, 0.9  # of the particles stay effective in the first and in later steps of the temperature
_SHARE_APART = 0.8  # … where they are not resampled: what they could not follow shows in none of the others
_MOVES_AT_END = 2  # more moves at β = 1
_ACCEPT, _GAIN = 0.6, 1.0  # of the stochastic approximation of log ε
_FIRST_STEP, _LONGEST = 0.7, 1.5  # in standard deviations of the particles
_FAINT = 5.0  # nats below the rest, from where on it is not worth a look: less than a hundredth of the posterior
_BITS = 50  # coordinates that an orthant is told by, at most
_STRIDE = 8  # moves whose random numbers are drawn at once


@dataclass(frozen=True)
class Expedition:
    """What was found from the prior alone.

    Attributes:
        particles: points of equal weight, `[256, B, D]`.
        log_evidence: log p̂(x) from fresh draws of a mixture fitted to them, `[B]`, nats: unbiased before the logarithm.
        stderr: its standard error by the delta method, `[B]`, nats.
        ess: effective number of these draws, `[B]`: with few of them the expedition says little.
        heard: whether its particles are worth a look beside what the guide shows, `[B]`.
        is_crowded: whether they show so many modes that others may well have been missed, `[B]`.
        gradients, evaluations: gradients, and densities without gradient, spent on each datum.
    """

    particles: Tensor
    log_evidence: Tensor
    stderr: Tensor
    ess: Tensor
    heard: Tensor
    is_crowded: Tensor
    gradients: int
    evaluations: int

    def beside(self, log_evidence: Tensor) -> "Expedition":
        """The same, heard only where it weighs something beside another estimate of log p(x), `[B]`."""
        heard = self.log_evidence + 2 * self.stderr.clamp(max=1.0) > log_evidence - _FAINT
        return replace(self, heard=self.heard & heard)


def explore(path: Path, numbers: RandomNumbers, log_joint: Callable[[Tensor], Tensor]) -> Expedition:
    """Send particles of every datum from the prior to its posterior (Del Moral, Doucet & Jasra 2006, section 3).

    Args:
        path: from the prior to the joint.
        numbers: the random numbers.
        log_joint: log density of u.

    Raises:
        NotImplementedError: if the prior cannot be drawn from.
    """
    particles, moves = travelled(path, numbers)
    mixture = Mixture.fit(particles, count_modes=True)
    first = from_mixture(mixture, numbers, "expedition: refit", _REFIT, log_joint)
    uniform = numbers.uniform("expedition: resample points", 1)[0]
    points = first.tempered(_TEMPERED).resampled(NUM_POINTS, uniform)
    fresh = from_mixture(Mixture.fit(points, count_modes=True), numbers, "expedition", NUM_SAMPLES, log_joint)
    value, stderr = fresh.log_mean()
    return Expedition(
        particles=particles,
        log_evidence=value,
        stderr=stderr,
        ess=fresh.ess,
        heard=~value.isneginf(),
        is_crowded=is_crowded(mixture.num_components, *particles.shape[::2]),
        gradients=len(particles) * (1 + moves),
        evaluations=_NUM_PRIOR + _REFIT + NUM_SAMPLES,
    )


class _State(NamedTuple):
    """Particles at their temperatures: positions with both ends of the path, β `[B]` and log ε `[B]`."""

    ends: Ends
    beta: Tensor
    log_step: Tensor

    def where(self, chosen: Tensor, other: "_State") -> "_State":
        """This state for the data that are chosen `[B]`, the other one elsewhere."""
        ends = self.ends.where(chosen.expand_as(self.ends.log_joint), other.ends)
        pairs = ((self.beta, other.beta), (self.log_step, other.log_step))
        return _State(ends, *(torch.where(chosen, mine, theirs) for mine, theirs in pairs))


def travelled(
    path: Path, numbers: RandomNumbers, num_particles: int = NUM_PARTICLES, together: bool = True
) -> tuple[Tensor, int]:
    """Particles `[P, B, D]` that came from the prior to β = 1, and the number of moves that it took.

    Together they are resampled at every temperature, and end with about equal weights; but a few of them then end with
    few ancestors, and a mode dies with its last one. Apart each goes its own way: their weights are not known, but
    modes have as many of them as they had to begin with.

    Raises:
        NotImplementedError: if the prior cannot be drawn from.
    """
    prior = from_prior(path.coordinates, _NUM_PRIOR, numbers.seed)
    beta = _next(prior.log_w, torch.zeros_like(prior.log_w[0], dtype=torch.float64), _FIRST_SHARE)
    begin = numbers.uniform("expedition: begin", 1)[0]
    chosen = prior.at(_systematic(_tempered(prior.u, prior.log_w, beta), num_particles, begin))
    state = _State(path.evaluate(chosen), beta, torch.full_like(beta, _FIRST_STEP).log())
    steps = _Steps(path, numbers, num_particles)
    state, moves = steps.moved(state, 0), 1
    for stage in range(1, NUM_STAGES):
        if bool((state.beta >= 1).all()):
            break
        # Those that have arrived rest: how long others take must not show in them.
        warmed = _warmed(numbers, state, stage) if together else _warmed_apart(state, stage)
        state, moves = steps.moved(warmed, stage).where(state.beta < 1, state), moves + 1
    for extra in range(_MOVES_AT_END):  # the same random numbers however many stages other data took
        state, moves = steps.moved(state, NUM_STAGES + extra), moves + 1
    return state.ends.u, moves


def _warmed_apart(state: _State, stage: int) -> _State:
    """The particles as they are, at the temperature that would leave most of them effective, or the last."""
    return _State(state.ends, _next_beta(state, stage, _SHARE_APART)[0], state.log_step)


def _next_beta(state: _State, stage: int, share: float) -> tuple[Tensor, Tensor]:
    """The next temperature `[B]`, and log joint − log prior of the particles, `[P, B]`."""
    difference = state.ends.difference.nan_to_num(-torch.inf, neginf=-torch.inf, posinf=-torch.inf)
    if stage == NUM_STAGES - 1:
        return torch.ones_like(state.beta), difference
    return _next(difference, state.beta, share), difference


def _warmed(numbers: RandomNumbers, state: _State, stage: int) -> _State:
    """The particles resampled for the next temperature: that which leaves most of them effective, or the last."""
    beta, difference = _next_beta(state, stage, _SHARE)
    population = _tempered(state.ends.u, difference, beta - state.beta)
    uniform = numbers.uniform(f"expedition: resample {stage}", 1)[0]
    index = _systematic(population, len(difference), uniform)
    return _State(state.ends.gather(index), beta, state.log_step)


def _tempered(u: Tensor, log_w: Tensor, power: Tensor) -> Population:
    """Points with weights w^power, zero where w is."""
    return Population(u, torch.where(log_w.isneginf(), -torch.inf, power * log_w))


def _next(difference: Tensor, beta: Tensor, share: float) -> Tensor:
    """The largest temperature `[B]` for which `share` of the points stays effective, from differences `[P, B]`."""
    finite = torch.where(difference.isneginf(), -1e30, difference.double())

    def enough(upper: Tensor) -> Tensor:
        return 1 / ((upper - beta) * finite).softmax(0).square().sum(0) >= share * len(finite)

    low, high = beta, torch.ones_like(beta)
    for _ in range(20):
        middle = (low + high) / 2
        fits = enough(middle)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return torch.where(enough(torch.ones_like(beta)), 1.0, torch.maximum(low, beta))


def _systematic(population: Population, count: int, uniform: Tensor) -> Tensor:
    """Systematic resampling along an order in which modes lie together, indices `[count, B]`.

    Each stretch of the order keeps its share of the weight to within one point, so a small mode does not die by chance
    (Gerber, Chopin & Whiteley 2019). The order is that of orthants about the mean, coordinates with the shortest tails,
    where modes show, first.
    """
    u = population.u.double()
    white = (u - u.mean(0)) / u.std(0).clamp_min(1e-300)
    first = on_grid(white.square().square().mean(0)).argsort(dim=-1, stable=True)[:, :_BITS]  # [B, bits]
    bits = (white.gather(2, first.expand(len(white), -1, -1)) > 0).double()
    code = bits @ 0.5 ** torch.arange(bits.shape[-1], dtype=bits.dtype, device=bits.device)
    order = code.argsort(dim=0, stable=True)
    return order.gather(0, Population(population.u, population.log_w.gather(0, order)).systematic(count, uniform))


class _Steps:
    """HMC moves of one leapfrog step: many temperatures do more than long trajectories at few."""

    def __init__(self, path: Path, numbers: RandomNumbers, num_particles: int) -> None:
        self.path, self.numbers, self.num_particles, self.block = path, numbers, num_particles, -1
        self.momenta = self.uniforms = torch.empty(0)

    def moved(self, state: _State, index: int) -> _State:
        """Move every particle at its datum's temperature, and adapt the step size to how many are accepted."""
        sd = (state.ends.u - state.ends.u.mean(0)).abs().mean(0) * 1.25  # a tail weighs less than in a variance
        sd = on_grid(torch.where(sd > 0, sd, 1.0), sd.clamp_min(torch.finfo(sd.dtype).tiny))
        ends = replace(state.ends, u=on_grid(state.ends.u, sd))  # their densities are those a millionth of an sd away
        most = torch.ones_like(sd[:, 0])
        step = state.log_step.exp().to(sd).expand(len(ends.u), -1)
        kernel = Kernel(step, torch.full_like(most, torch.inf), sd, max_steps=most)
        moved, move = self.path.step(ends, state.beta, kernel, *self._randomness(index))
        log_step = state.log_step + _GAIN * (move.acceptance.double().mean(0) - _ACCEPT)
        return _State(moved, state.beta, on_grid(log_step.clamp(max=torch.tensor(_LONGEST).log().item())))

    def _randomness(self, index: int) -> tuple[Tensor, Tensor]:
        """Momenta `[P, B, D]` and uniforms `[P, B]` of a move."""
        block, within = divmod(index, _STRIDE)
        if block != self.block:
            dim, count = self.path.coordinates.dim, _STRIDE * self.num_particles
            momenta = self.numbers.normal("expedition: momentum", count, dim, block * count)
            uniforms = self.numbers.uniform("expedition: accept", count, block * count)
            self.momenta, self.uniforms = (t.unflatten(0, (_STRIDE, -1)) for t in (momenta, uniforms))
            self.block = block
        return self.momenta[within], self.uniforms[within]
