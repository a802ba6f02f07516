"""Kernels and temperatures of a path, tuned on pilot chains and then frozen."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evidence.annealing import schedule
from elbowroom.inference.evidence.annealing.randomness import PILOT, Randomness
from elbowroom.inference.mcmc.path import Ends, Path
from elbowroom.inference.mcmc.trajectory import halton
from elbowroom.inference.mcmc.transition import Kernel
from elbowroom.inference.programs.noise import BLOCK

GRID = 32
"""Temperatures of the pilot chains, at most."""

_LEAST = 16  # and at least
_SETTLE = 8  # transitions at the first and at the last temperature, where the rest of the path is not yet a warm-up
_ACCEPT = 0.75  # between HMC's optimum 0.65 and caution: kernels are used between the grid's temperatures too
_GAIN, _FIRST_GAIN = 0.25, 0.75  # of the stochastic approximation of log ε: constant, for the target moves with β
_NUM_FIRST, _BEYOND = 256, BLOCK << 16  # draws of the start that its variance is read off, and the first one's index
_WINDOW = 5  # transitions over which pilot chains remember their spread
_LONGEST, _WIDEST = 2.0, 1.4  # trajectory and step, in standard deviations: half a period is π, instability begins at 2
_JITTER = 0.3  # steps are shortened by up to this share, so that no trajectory is resonant; longer ones may be unstable


@dataclass(frozen=True)
class Tuning:
    """Step sizes, scales and the path's variance on a grid of temperatures.

    Attributes:
        grid: β, `[G + 1]`, from 0 to 1.
        log_step: log ε, `[G + 1, B]`.
        log_scale: log standard deviation of each coordinate, `[G + 1, B, D]`.
        variance: V(β) = Var_β[log joint − log start], `[G + 1, B]`, nats².
        num_leapfrog: steps of each trajectory.
        num_evaluations: gradient evaluations spent for each datum.
    """

    grid: Tensor
    log_step: Tensor
    log_scale: Tensor
    variance: Tensor
    num_leapfrog: int
    num_evaluations: int

    def kernel(self, beta: Tensor, index: int, num_chains: int) -> Kernel:
        """The kernel at β `[B]`, interpolated; `index` numbers the transition for the jitter of its step size."""
        upper = torch.searchsorted(self.grid, beta.contiguous()).clamp(1, len(self.grid) - 1)  # [B]
        fraction = (beta - self.grid[upper - 1]) / (self.grid[upper] - self.grid[upper - 1])

        def between(values: Tensor) -> Tensor:
            column = torch.arange(values.shape[1], device=values.device)
            part = fraction.to(values).reshape(-1, *(1,) * (values.dim() - 2))
            return torch.lerp(values[upper - 1, column], values[upper, column], part).exp()

        jitter = 1 - _JITTER * halton(index)
        return make_kernel(between(self.log_step) * jitter, between(self.log_scale), self.num_leapfrog, num_chains)


@dataclass(frozen=True)
class Frozen:
    """What is fixed before the chains that are reported begin: temperatures `[T + 1, B]` and kernels."""

    betas: Tensor
    tuning: Tuning

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.betas) - 1


def prepare(path: Path, *, num_steps: int, schedule_name: str, num_pilot: int, num_leapfrog: int, seed: int) -> Frozen:
    """Tune kernels on pilot chains, choose the temperatures, and freeze both.

    The pilot chains have noise of their own (`randomness.PILOT`): given what is returned, the chains that use it are
    independent of how it was chosen, so E[w] = p(x) for them (Neal 2001, section 2).
    """
    tuning = tune(path, num_steps, num_pilot, num_leapfrog, seed)
    num_data = len(path.target)
    if schedule_name == "adaptive":
        betas = schedule.equal_length(tuning.grid, tuning.variance, num_steps)
    else:
        fixed = schedule.sigmoid if schedule_name == "sigmoid" else schedule.linear
        betas = fixed(num_steps).to(tuning.grid.device).unsqueeze(1).expand(-1, num_data).contiguous()
    return Frozen(betas, tuning)


def tune(path: Path, num_steps: int, num_pilot: int, num_leapfrog: int, seed: int) -> Tuning:
    """Anneal pilot chains along a sigmoid grid, adapting step size and scale of each datum on the way."""
    num_grid = min(max(num_steps, _LEAST), GRID)
    randomness = Randomness(path, seed, num_pilot, PILOT)
    ends = path.draw(num_pilot, seed, PILOT)
    grid = schedule.sigmoid(num_grid).to(ends.u.device)
    remembered = _spread(ends)
    most = math.log(min(_WIDEST, _LONGEST / num_leapfrog))
    log_step = torch.full_like(ends.u[0, :, 0], 0.6 * ends.u.shape[-1] ** -0.25).log().clamp(max=most)  # [B]
    visits = [1 + _SETTLE] + [1] * (num_grid - 2) + [1 + _SETTLE]
    # Where chains begin the variance is known from independent draws: pilot chains are too few to meet a tenth of them
    # that lie where the joint is next to nothing, and a first step made without these would throw them away.
    first = _variance(path.draw(_NUM_FIRST, seed, PILOT + _BEYOND))
    records, count = [(log_step, _log_scale(remembered, ends), first)], 0
    for g, num_visits in enumerate(visits, 1):
        beta, spreads = grid[g].expand(len(path.target)), []
        for v in range(num_visits):
            kernel = make_kernel(log_step.exp(), _log_scale(remembered, ends).exp(), num_leapfrog, num_pilot)
            ends, move = path.step(ends, beta, kernel, *randomness.at(count))
            gain = _FIRST_GAIN / (1 + v) ** 0.5 if num_visits > 1 else _GAIN
            log_step = (log_step + gain * (move.acceptance.mean(0).to(log_step) - _ACCEPT)).clamp(max=most)
            spreads.append(_spread(ends))
            remembered = torch.lerp(remembered, spreads[-1], 1 / min(count + 2, _WINDOW))
            count += 1
        recent = torch.stack(spreads[len(spreads) // 2 :]).mean(0)
        records.append((log_step, _log_scale(recent, ends), _variance(ends)))
    log_steps, log_scales, variances = (torch.stack(column) for column in zip(*records, strict=True))
    return Tuning(
        grid=grid,
        log_step=_smooth(log_steps),
        log_scale=_smooth(log_scales),
        variance=_smooth(variances),
        num_leapfrog=num_leapfrog,
        num_evaluations=_NUM_FIRST + num_pilot * (1 + count * num_leapfrog),
    )


def make_kernel(step_size: Tensor, scale: Tensor, num_leapfrog: int, num_chains: int) -> Kernel:
    """A kernel of exactly L leapfrog steps in every chain, from step sizes `[B]` and scales `[B, D]`."""
    unlimited = torch.full_like(step_size, torch.inf)  # the number of steps alone ends a trajectory
    most = torch.full_like(step_size, num_leapfrog)
    return Kernel(step_size.expand(num_chains, -1), unlimited, scale, max_steps=most)


def _spread(ends: Ends) -> Tensor:
    """Variance of the positions over chains, `[B, D]`."""
    return ends.u.nan_to_num(0.0, 0.0, 0.0).var(0)


def _log_scale(variance: Tensor, ends: Ends) -> Tensor:
    """log sd; where the chains are not apart, that of a standard normal."""
    floor = torch.finfo(variance.dtype).eps * (1 + ends.u.nan_to_num(0.0, 0.0, 0.0).square().mean(0))
    return 0.5 * torch.where(variance > floor, variance, 1.0).log()


def _variance(ends: Ends) -> Tensor:
    """Variance of the difference over chains, `[B]`; zero where it is not finite."""
    difference = ends.difference
    if len(difference) < 2:
        return torch.zeros_like(difference[0])
    return difference.var(0).nan_to_num(0.0, 0.0, 0.0)


def _smooth(values: Tensor) -> Tensor:
    """Means over each temperature and its two neighbours on either side, `[G + 1, B, ...]`: pilot chains are few."""
    padded = torch.cat([values[:1], values[:1], values, values[-1:], values[-1:]])
    return torch.stack([padded[i : i + len(values)] for i in range(5)]).mean(0)
