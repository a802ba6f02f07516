"""Categorical likelihood: vectors of levels 0 … K − 1, each with a probability of its own."""

from typing import Any, ClassVar

import pyro.distributions as dist
import torch
from torch import Tensor, distributions
from torch.distributions import constraints

from elbowroom.entrances.values import check_size
from elbowroom.models.likelihoods.likelihood import Likelihood, Size
from elbowroom.models.likelihoods.vector import Vector, is_whole, level_advice
from elbowroom.networks.outputs import named_outputs, shares


class Categorical(Likelihood):
    """P(x_p = k) = softmax(logits_p)_k: levels k = 0 … K − 1, of which no order is assumed.

    Args:
        levels: K. A decoder says P·K logits, the levels of an entry side by side: `[*batch, P·K]`, or
            `[*batch, …, K]`, or as torch's cross-entropy has classes, `[*batch, K, …]`.
    """

    outputs = named_outputs("logits")
    data = "levels"

    def __init__(self, levels: int | None = None) -> None:
        super().__init__()
        self.levels = self.per_value = check_levels("categorical", levels)
        otherwise = f"the probabilities of each value's {self.levels} levels, as a softmax over them makes them"
        self.outputs = {**type(self).outputs, "probs": shares(self.levels, "probs", "logits", otherwise)}

    def forward(self, logits: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`, for logits `[*batch, P·K]`.

        Raises:
            ValueError: if the number of logits is no multiple of K.
        """
        if logits.shape[-1] % self.levels:
            raise ValueError(
                f"logits: got {logits.shape[-1]} numbers a datum, expected a multiple of levels={self.levels}: the "
                "logits of each entry's levels, levels in the last dimension"
            )
        return CategoricalVector(logits.unflatten(-1, (-1, self.levels)))

    def of_object(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """(logits) of a Categorical, or of one of one-hot vectors, of as many levels.

        Raises:
            ValueError: if it has others.
        """
        if not isinstance(p_x, distributions.Categorical | distributions.OneHotCategorical):
            return None
        if (number := p_x.logits.shape[-1]) != self.levels:
            raise ValueError(f"levels: got {self.levels}, but the decoder returned a Categorical of {number}")
        return (p_x.logits,)


def check_levels(likelihood: str, levels: int | None) -> int:
    """`levels`, at least two of them.

    Raises:
        TypeError, ValueError: if it is no such number.
    """
    if levels is None:
        raise ValueError(f"levels: got None; the likelihood {likelihood!r} needs their number, as in levels=17")
    if check_size("levels", levels) < 2:
        raise ValueError(f"levels: got {levels}, expected at least 2")
    return levels


class CategoricalVector(Vector):
    """x in {0, …, K − 1}^P with independent entries, P(x_p = k) = softmax(l_p)_k.

        log p(x) = Σ_p (l_p[x_p] − log Σ_k exp l_p[k])

    It takes the time of `Categorical(logits=l).to_event(1)`, and 0.7 of it with gradients.

    Args:
        logits: l, `[*batch, P, K]`.
        validate_args: check the logits and the values; by default as torch is set.
    """

    arg_constraints = {"logits": constraints.independent(constraints.real, 1)}  # noqa: RUF012 (torch's own interface)
    wrong_values = "no levels"
    own_dims: ClassVar[int] = 1

    def __init__(self, logits: Tensor, validate_args: bool | None = None) -> None:
        self.logits, self.levels = logits, logits.shape[-1]
        self.advice = level_advice(self.levels - 1, f"levels={self.levels}")
        super().__init__("logits", validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """{0, …, K − 1}^P."""
        return constraints.independent(constraints.integer_interval(0, self.levels - 1), 1)

    @property
    def mean(self) -> Tensor:
        """E x = Σ_k k p_k, `[*batch, P]`, levels read as numbers."""
        return self._moment(1)

    @property
    def variance(self) -> Tensor:
        """Var x, `[*batch, P]`, levels read as numbers."""
        return self._moment(2) - self.mean.square()

    def _moment(self, power: int) -> Tensor:
        numbers = torch.arange(self.levels, dtype=self.logits.dtype, device=self.logits.device)
        return torch.softmax(self.logits, -1) @ numbers**power

    def is_possible(self, value: Tensor) -> Tensor:
        """Which entries are levels."""
        return is_whole(value, self.levels - 1)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, P]`, in the dtype of the logits."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            probs = torch.softmax(self.logits, -1).expand(*shape, self.levels)
            return torch.multinomial(probs.reshape(-1, self.levels), 1).reshape(shape).to(self.logits)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) in nats, `[*batch]`, for `value` broadcastable with `[*batch, P]`.

        Raises:
            ValueError: if values are checked and one is no level.
        """
        if self._validate_args:
            self._validate_sample(value)
        index, logits = value.long().unsqueeze(-1), self.logits  # [..., P, 1], [..., P, K]
        if index.shape[:-1] != logits.shape[:-1]:
            shape = torch.broadcast_shapes(index.shape[:-1], logits.shape[:-1])
            index, logits = index.expand(*shape, 1), logits.expand(*shape, self.levels)
        return (logits.gather(-1, index).squeeze(-1) - logits.logsumexp(-1)).sum(-1)
