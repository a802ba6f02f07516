"""Binomial likelihood: vectors of whole numbers from 0 to n, such as grey levels that count dark dots."""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, distributions
from torch.distributions import constraints
from torch.nn import functional

from elbowroom.entrances.values import check_size
from elbowroom.models.likelihoods.likelihood import Likelihood, Size
from elbowroom.models.likelihoods.vector import Vector, is_whole, level_advice
from elbowroom.networks.outputs import named_outputs


class Binomial(Likelihood):
    """x_p ~ Binomial(n, sigmoid(logits_p)): whole numbers from 0 to n.

    Args:
        trials: n.
    """

    outputs = named_outputs("logits", "probs")
    data = "levels"

    def __init__(self, trials: int | None = None) -> None:
        super().__init__()
        if trials is None:
            raise ValueError("trials: got None; the likelihood 'binomial' needs n, the largest value, as in trials=16")
        self.trials = check_size("trials", trials)

    def forward(self, logits: Tensor) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`."""
        return BinomialVector(logits, self.trials)

    def of_object(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """(logits) of a Binomial with as many trials.

        Raises:
            ValueError: if it has others.
        """
        if not isinstance(p_x, distributions.Binomial):
            return None
        if bool((p_x.total_count != self.trials).any()):
            raise ValueError(
                f"trials: got {self.trials}, but the decoder returned a Binomial of total_count "
                f"{p_x.total_count.flatten()[0].item():g}; say the number that the data have"
            )
        return (p_x.logits,)


class BinomialVector(Vector):
    """x in {0, …, n}^P with independent entries, x_p ~ Binomial(n, sigmoid(l_p)).

        log p(x) = Σ_p (log C(n, x_p) + x_p l_p − n log(1 + exp l_p))
                 = Σ_p (log C(n, m_p) + m_p a_p − n log(1 + exp a_p)),    m = min(x, n − x), a = ±l

    By symmetry the rarer outcome is counted, so that nothing cancels at logits of any size. It takes 0.2 of the time of
    `Binomial(n, logits=l).to_event(1)`.

    Args:
        logits: l, `[*batch, P]`.
        trials: n.
        validate_args: check the logits and the values; by default as torch is set.
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (torch's own interface)
    wrong_values = "no whole numbers from 0 to n"

    def __init__(self, logits: Tensor, trials: int, validate_args: bool | None = None) -> None:
        self.logits, self.trials = logits, trials
        self.advice = level_advice(trials, f"trials={trials}")
        super().__init__("logits", validate_args)

    @property
    def support(self) -> constraints.Constraint:
        """{0, …, n}^P."""
        return constraints.independent(constraints.integer_interval(0, self.trials), 1)

    @property
    def mean(self) -> Tensor:
        """E x = n sigmoid(l), `[*batch, P]`."""
        return self.trials * torch.sigmoid(self.logits)

    @property
    def variance(self) -> Tensor:
        """Var x = n sigmoid(l) sigmoid(−l), `[*batch, P]`."""
        return self.mean * torch.sigmoid(-self.logits)

    def is_possible(self, value: Tensor) -> Tensor:
        """Which entries are whole numbers from 0 to n."""
        return is_whole(value, self.trials)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, P]`."""
        with torch.no_grad():
            probs = torch.sigmoid(self.logits).expand(self._extended_shape(torch.Size(sample_shape)))
            return torch.binomial(torch.full_like(probs, self.trials), probs)

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x) in nats, `[*batch]`, for `value` broadcastable with the logits.

        Raises:
            ValueError: if values are checked and one is not a whole number from 0 to n.
        """
        if self._validate_args:
            self._validate_sample(value)
        n, wide = self.trials, value.double()
        coefficient = torch.tensor(n + 1.0).double().lgamma() - (wide + 1).lgamma() - (n - wide + 1).lgamma()
        sign = torch.where(2 * value > n, -1.0, 1.0).to(value)
        rarer = torch.minimum(value, n - value)
        a = sign * self.logits
        return (rarer * a - n * functional.softplus(a, threshold=40.0)).sum(-1) + coefficient.sum(-1).to(a)
