"""Dual averaging of the step size of each chain of each datum."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbowroom.inference.mcmc.rounding import on_grid

_SHRINKAGE, _DELAY, _DECAY = 0.05, 10.0, 0.75  # γ, t₀, κ of Hoffman & Gelman (2014), section 3.2.1


@dataclass(frozen=True)
class DualAveraging:
    """State of the adaptation, `[C, B]` each (Hoffman & Gelman 2014, algorithm 5)."""

    log_step: Tensor  # log ε, what the next transition uses
    log_average: Tensor  # log ε̄, what is frozen
    error: Tensor  # H̄
    centre: Tensor  # μ
    count: int = 0

    @classmethod
    def start(cls, step_size: Tensor, ahead: float = 10.0) -> "DualAveraging":
        """Begin at a first guess of ε; larger steps, up to `ahead` times that, are tried first."""
        log_step = step_size.log()
        return cls(log_step, log_step, torch.zeros_like(log_step), log_step + math.log(ahead))

    def update(self, acceptance: Tensor, target: float) -> "DualAveraging":
        """Take in the acceptance probabilities of a transition, `[C, B]`."""
        count = self.count + 1
        weight = 1 / (count + _DELAY)
        error = (1 - weight) * self.error + weight * (target - acceptance)
        log_step = self.centre - count**0.5 / _SHRINKAGE * error
        fade = count**-_DECAY
        average = fade * log_step + (1 - fade) * self.log_average
        return replace(self, log_step=log_step, log_average=average, error=error, count=count)

    def rounded(self) -> "DualAveraging":
        """What the next transition and the next update go by, on a grid."""
        log_step, log_average = on_grid(self.log_step), on_grid(self.log_average)
        return replace(self, log_step=log_step, log_average=log_average, error=on_grid(self.error))

    @property
    def step_size(self) -> Tensor:
        """ε while adapting."""
        return self.log_step.exp()

    @property
    def frozen(self) -> Tensor:
        """ε̄, the average to keep."""
        return self.log_average.exp()
