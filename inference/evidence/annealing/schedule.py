"""Inverse temperatures 0 = β_0 < … < β_T = 1 of a path."""

import torch
from torch import Tensor

SCHEDULES = ("sigmoid", "linear", "adaptive")

_STEEPNESS = 4.0  # Grosse, Ghahramani & Adams (2015), section 6: σ(δ (2 t / T − 1)) with δ = 4
_SHARE = 0.2  # of an adapted schedule that stays sigmoid: what pilot chains overlooked is not leapt over


def linear(num_steps: int) -> Tensor:
    """t / T, `[T + 1]`."""
    return torch.linspace(0, 1, num_steps + 1, dtype=torch.float64)


def sigmoid(num_steps: int) -> Tensor:
    """A sigmoid scaled to (0, 1), dense at both ends, `[T + 1]` (Grosse, Ghahramani & Adams 2015, section 6)."""
    raw = torch.sigmoid(_STEEPNESS * (2 * linear(num_steps) - 1))
    return (raw - raw[0]) / (raw[-1] - raw[0])


def equal_length(grid: Tensor, variance: Tensor, num_steps: int) -> Tensor:
    """T steps of equal thermodynamic length for each datum, `[T + 1, B]`.

    The conditional effective sample size of a step from β to β + δ is C / (1 + δ² V(β)) to leading order, with
    V(β) = Var_β[log joint − log start] (Zhou, Johansen & Aston 2016, equation 3.8): it is the same for all steps when
    ∫ √V dβ is cut into T equal parts. These steps also minimise Σ δ² V, the variance of log w where chains mix.

    Args:
        grid: inverse temperatures where V is known, `[G + 1]`, from 0 to 1.
        variance: V there, `[G + 1, B]`.
        num_steps: T.
    """
    speed = variance.clamp_min(0).sqrt()  # [G + 1, B]
    length = _cumulative(grid, speed)
    even = torch.arange(len(grid), dtype=torch.float64, device=grid.device).unsqueeze(1) / (len(grid) - 1)
    moves = length[-1].isfinite() & (length[-1] > 0)
    share = torch.where(moves, (1 - _SHARE) * length / length[-1].clamp_min(1e-300) + _SHARE * even, even)  # [G + 1, B]
    share = share / share[-1]
    wanted = linear(num_steps).to(grid.device).expand(share.shape[1], -1).contiguous()  # [B, T + 1]
    upper = torch.searchsorted(share.T.contiguous(), wanted).clamp(1, len(grid) - 1)  # [B, T + 1]
    below, above = share.T.gather(1, upper - 1), share.T.gather(1, upper)
    fraction = (wanted - below) / (above - below)
    betas = (grid[upper - 1] + fraction * (grid[upper] - grid[upper - 1])).T.contiguous()  # [T + 1, B]
    betas[0], betas[-1] = 0.0, 1.0
    return betas


def _cumulative(grid: Tensor, speed: Tensor) -> Tensor:
    """∫_0^β speed, by the trapezoidal rule, `[G + 1, B]`."""
    parts = 0.5 * (speed[1:] + speed[:-1]) * (grid[1:] - grid[:-1]).unsqueeze(1)
    return torch.cat([torch.zeros_like(parts[:1]), parts.cumsum(0)])
