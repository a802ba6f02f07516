"""What the objectives on log w `[K, B]` share.

    log w[k, b] = log p(x_b, z[k, b]) − log q(z[k, b] | x_b),    z[k, b] ~ q(z | x_b)

An objective is a function of these K numbers for each datum, summed over the data, never of a batch as a whole; and a
*surrogate*, a number whose gradient is the estimate of the objective's. The two may be different functions: what a draw
contributes to a gradient depends on how it was drawn.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from elbowroom.inference.programs.structure import Program
from elbowroom.inference.training.objectives.contract import Objective, Setting
from elbowroom.inference.training.objectives.runs import Programs, by_datum, log_joint, pairs, random_sites


class Estimate(NamedTuple):
    """Of one minibatch, in nats.

    Attributes:
        value: of the objective, `[B]`.
        surrogate: its gradient is that of the objective, summed over the data.
    """

    value: Tensor
    surrogate: Tensor


class Draws(NamedTuple):
    """Log densities at K draws of each of B data, `[K, B]` each, with the graph of the draws where they carry one.

    Attributes:
        log_joint: log p(x, z).
        log_q: log q(z | x).
        entropy: of that, the part whose gradient is not zero in expectation.
        score: log q of the sites whose draws carry no gradient, unscaled: theirs is the score's.
    """

    log_joint: Tensor
    log_q: Tensor
    entropy: Tensor
    score: Tensor

    @property
    def log_w(self) -> Tensor:
        """log p(x, z) − log q(z | x), `[K, B]`."""
        return self.log_joint - self.log_q


class PerDatumObjective(Objective, ABC):
    """Minus such an objective, as training calls it.

    Args:
        setting: what is known of the programs.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    @abstractmethod
    def estimate(self, programs: Programs) -> Estimate:
        """The objective of a minibatch, and its surrogate."""

    def loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Minus the objective, in nats, summed over the data."""
        with torch.enable_grad():  # gradients in z are a part of some
            return -self.estimate(Programs(model, guide, args, kwargs)).value.sum().item()

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """The same, with the gradients left in the parameters."""
        estimate = self.estimate(Programs(model, guide, args, kwargs))
        if estimate.surrogate.requires_grad:
            (-estimate.surrogate).backward()
        return -estimate.value.detach().sum().item()

    def draws(self, programs: Programs) -> Draws:
        """Fresh draws of the guide."""
        found = [self._of_pair(*pair) for pair in pairs(self.setting, programs)]
        return Draws(*(torch.cat(parts) for parts in zip(*found, strict=True)))

    def _of_pair(self, model_trace: Any, guide_trace: Any) -> Draws:
        guide_trace.compute_score_parts()
        log_p, add = log_joint(self.setting, model_trace), by_datum(self.setting, model_trace)
        parts = [(site["log_prob"], *site["score_parts"][:0:-1]) for site in random_sites(guide_trace)]
        columns = zip(*parts, strict=True) if parts else ((), (), ())
        log_q, entropy, score = (
            _sum(log_p, [add(torch.as_tensor(term, device=log_p.device)) for term in terms]) for terms in columns
        )
        return Draws(log_p, log_q, entropy, score)


def _sum(like: Tensor, terms: list[Tensor]) -> Tensor:
    return torch.stack(terms).sum(0) if terms else torch.zeros_like(like)
