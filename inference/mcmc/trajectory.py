"""ChEES adaptation of the trajectory length of each datum, over its chains."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from elbowroom.inference.mcmc.metric import whiten
from elbowroom.inference.mcmc.rounding import on_grid
from elbowroom.inference.mcmc.transition import Move

_RATE, _FIRST, _SECOND, _TINY = 0.05, 0.8, 0.95, 1e-20  # Adam; short memories, since few transitions adapt


@dataclass(frozen=True)
class Chees:
    """Adam on the logarithm of the trajectory length, `[B]` each.

    The criterion is the change in the estimator of the expected square, ¼ E[(|u′ − ū|² − |u − ū|²)²]; its gradient in
    the length t is E[t j (|u′ − ū|² − |u − ū|²) (u′ − ū)ᵀ v′] with j the jitter, v′ the velocity at the end
    (Hoffman, Radul & Sountsov 2021, equation 9 and algorithm 1), in units of the posterior's scale, averaged over the
    chains of a datum with their acceptance probabilities as weights.
    """

    log_length: Tensor
    first: Tensor
    second: Tensor
    count: int = 0

    @classmethod
    def start(cls, length: Tensor) -> "Chees":
        """Begin at lengths `[B]`."""
        zero = torch.zeros_like(length)
        return cls(length.log(), zero, zero)

    def update(
        self, before: Tensor, move: Move, *, centre: Tensor, scale: Tensor, jitter: float, bounds: tuple[Tensor, Tensor]
    ) -> "Chees":
        """Take in a transition.

        Args:
            before: where it began, `[C, B, D]`.
            move: what happened.
            centre: ū, the mean over the chains of a datum, `[B, D]`.
            scale: of the positions.
            jitter: j, the factor of the trajectory's length.
            bounds: least and greatest lengths, `[B]` each.
        """
        # The criterion's gradient in the length (equation 9), averaged over chains.
        start, end = whiten(scale, before - centre), whiten(scale, move.proposal.u - centre)
        change = end.square().sum(-1) - start.square().sum(-1)
        slope = jitter * change * (end * move.velocity).sum(-1)  # [C, B]
        weight = torch.where(slope.isfinite(), move.acceptance, 0.0)
        gradient = (weight * slope.nan_to_num(0.0, 0.0, 0.0)).sum(0) / weight.sum(0).clamp_min(_TINY)
        gradient = gradient * self.length  # in log length
        # A step of Adam, uphill.
        count = self.count + 1
        first = _FIRST * self.first + (1 - _FIRST) * gradient
        second = _SECOND * self.second + (1 - _SECOND) * gradient.square()
        ascent = (first / (1 - _FIRST**count)) / ((second / (1 - _SECOND**count)).sqrt() + _TINY)
        log_length = self.log_length + _RATE * ascent.clamp(-3, 3)
        low, high = bounds
        log_length = torch.minimum(torch.maximum(log_length, low.log()), high.log())
        return replace(self, log_length=log_length, first=first, second=second, count=count)

    def rounded(self) -> "Chees":
        """What the next transition and the next update go by, on a grid."""
        first, second = on_grid(self.first, self.first), on_grid(self.second, self.second)
        return replace(self, log_length=on_grid(self.log_length), first=first, second=second)

    @property
    def length(self) -> Tensor:
        """Trajectory lengths, `[B]`."""
        return self.log_length.exp()


def halton(index: int) -> float:
    """The index-th number of the base-2 van der Corput sequence, in (0, 1): jitter without gaps."""
    value, factor, index = 0.0, 0.5, index + 1
    while index:
        index, digit = divmod(index, 2)
        value, factor = value + factor * digit, factor / 2
    return value
