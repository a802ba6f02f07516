"""Multinomial likelihood: bags of words, log p(x) given how many words there are."""

from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, distributions
from torch.distributions import constraints
from torch.nn import functional

from elbowroom.models.likelihoods.likelihood import Likelihood, Size
from elbowroom.models.likelihoods.poisson import COUNTS
from elbowroom.models.likelihoods.vector import Vector, check_possible, is_whole
from elbowroom.networks.outputs import named_outputs, shares


class Multinomial(Likelihood):
    """x ~ Multinomial(Σ_p x_p, softmax(logits)): counts of which the total is given, such as a document's words.

    The number reported is log p(x | total). What the total is likely to be is not modelled: documents of any length
    have one model, and simulated ones have the lengths of the data.
    """

    outputs = named_outputs("logits") | {
        "probs": shares(None, "probs", "logits", "the probabilities of all words, as a softmax over them makes them")
    }
    data = "counts"
    needs_exposure = True

    def forward(self, logits: Tensor, exposure: Tensor | None = None) -> dist.TorchDistribution:
        """p(x|z) with event shape `[P]`, of data with totals `exposure [*batch]`."""
        return MultinomialVector(logits, exposure)

    def of_object(self, p_x: Any) -> tuple[Tensor, ...] | None:
        """(logits) of a Multinomial, of whatever total; or of a Categorical, of which a datum has many draws."""
        one_draw = (distributions.Categorical, distributions.OneHotCategorical)
        return (p_x.logits,) if isinstance(p_x, (distributions.Multinomial, *one_draw)) else None


class MultinomialVector(Vector):
    """x in {0, 1, 2, …}^P given its total n = Σ_p x_p, with probabilities π = softmax(l).

        log p(x | n) = log n! − Σ_p log x_p! + Σ_p x_p log π_p

    That is a family of distributions, one for each n. The density of a value is that under its own total, which is
    read off the value, so no datum's term depends on another's. Draws and moments need to be told: `total` is n, and
    without it they are those of a single word, the mean the probabilities. The density takes 0.2 of the time of
    torch's.

    Args:
        logits: l, `[*batch, P]`.
        total: n, broadcastable with `[*batch]`; if it is given, values with another total are refused.
        validate_args: check the logits and the values; by default as torch is set.
    """

    arg_constraints = {"logits": constraints.independent(constraints.real, 1)}  # noqa: RUF012 (torch's own interface)
    support = constraints.independent(constraints.nonnegative_integer, 1)
    wrong_values = "no counts"
    advice = f"{COUNTS} (a multinomial likelihood)"

    def __init__(self, logits: Tensor, total: Tensor | None = None, validate_args: bool | None = None) -> None:
        self.logits, self.total = logits, total
        super().__init__("logits", validate_args)

    @property
    def _num_draws(self) -> Tensor:
        """n, `[*batch]`."""
        total = self.logits.new_ones(()) if self.total is None else self.total
        return total.expand(self.batch_shape)

    @property
    def mean(self) -> Tensor:
        """E x = n π, `[*batch, P]`."""
        return self._num_draws.unsqueeze(-1) * torch.softmax(self.logits, -1)

    @property
    def variance(self) -> Tensor:
        """Var x_p = n π_p (1 − π_p), `[*batch, P]`."""
        return self.mean * (1 - torch.softmax(self.logits, -1))

    def is_possible(self, value: Tensor) -> Tensor:
        """Which entries are counts."""
        return is_whole(value)

    def _validate_sample(self, value: Tensor) -> None:
        super()._validate_sample(value)
        if self.total is not None:
            total = value.sum(-1, keepdim=True)
            advice = "expected the total that each datum was said to have; leave it out, and it is read off the data"
            check_possible(total, total == self.total.unsqueeze(-1), "sums over a datum of another total", advice)

    def sample(self, sample_shape: Size = ()) -> Tensor:
        """Draws, `[*sample_shape, *batch, P]`.

        The words are divided between the halves of the vocabulary, those of each half between its halves, and so on:
        binomial draws, log2 P calls in all, whatever the totals.
        """
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            counts = self._num_draws.expand(shape[:-1]).unsqueeze(-1).to(self.logits).contiguous()
            for pair in reversed(_halves(torch.softmax(self.logits, -1).expand(shape))):  # [..., 2^i, 2]
                first = (pair[..., 0] / pair.sum(-1)).nan_to_num(0.5)  # two halves of probability zero have no words
                drawn = torch.binomial(counts, first)
                counts = torch.stack((drawn, counts - drawn), -1).flatten(-2)
            return counts[..., : shape[-1]]

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(x | Σ_p x_p) in nats, `[*batch]`, for `value` broadcastable with the logits.

        Raises:
            ValueError: if values are checked and one is no count, or a total is not the one given.
        """
        if self._validate_args:
            self._validate_sample(value)
        wide, total = value.double(), value.sum(-1)
        coefficient = (wide.sum(-1) + 1).lgamma() - (wide + 1).lgamma().sum(-1)
        return (value * self.logits).sum(-1) - total * self.logits.logsumexp(-1) + coefficient.to(self.logits)


def _halves(probs: Tensor) -> list[Tensor]:
    """Probabilities in pairs of neighbours, of pairs, of pairs of pairs: `[…, 2^i, 2]`, the finest first."""
    size, levels = probs.shape[-1], []
    probs = functional.pad(probs, (0, (1 << max(size - 1, 1).bit_length()) - size))
    while probs.shape[-1] > 1:
        levels.append(probs.unflatten(-1, (-1, 2)))
        probs = levels[-1].sum(-1)
    return levels
