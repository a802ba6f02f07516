"""Perplexity: log p(x) of bags of words, per word, as language models report it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.entrances import checked
from elbowroom.inference.estimate import NORMAL_95, Bound, Estimate
from elbowroom.inference.showing.numbers import mean_with_interval
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table

_BOUNDS: dict[Bound, Bound] = {"lower": "upper", "upper": "lower", "exact": "exact", "none": "none"}


@dataclass(frozen=True, repr=False)
class Perplexity(Shown):
    """Among how many equally likely words a model is undecided, on average over the words of the data.

    Attributes:
        value: from 1 to beyond the size V of the vocabulary, which is what a model that knows nothing has.
        stderr: standard error of *estimating* it, the data held fixed.
        spread: standard error of it *as a sample of bags*: what other bags from the same source would differ by; NaN
            of fewer than two.
        bound: what `value` bounds: `"upper"` where log p(x) is a lower bound.
        num_words: of all bags.
        num_flagged: bags whose log p(x) is flagged, of which the value cannot be trusted either.
    """

    value: float
    stderr: float
    spread: float
    bound: Bound
    num_words: int
    num_flagged: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of *estimating* it, value ± 1.96 stderr."""
        return self.value - NORMAL_95 * self.stderr, self.value + NORMAL_95 * self.stderr

    def as_table(self) -> Table:
        """The value, its interval, what it bounds, its error over bags, and what not to trust."""
        bound = {"upper": "an upper bound", "lower": "a lower bound", "exact": "exact", "none": "no bound"}[self.bound]
        number = mean_with_interval(torch.tensor([self.value]), torch.tensor([self.stderr]), unit="")
        lines = [f"perplexity {number}, {bound}, of {self.num_words} words"]
        lines.append(f"as a sample of bags: ± {self.spread:.2g}")
        lines += [f"{self.num_flagged} bags are flagged: not to be trusted"] * bool(self.num_flagged)
        return Table(tuple(lines))


@checked
def perplexity(estimate: Estimate, x: Tensor) -> Perplexity:
    """exp of minus the mean log probability of a word, given how many words each bag has.

        exp(−Σ_b log p(w_b) / Σ_b n_b),    log p(w_b) = log p(x_b | n_b) − log(n_b! / ∏_v x_bv!)

    The words w_b are those of a bag in their order: log p(x_b | n_b) of a multinomial model counts all orders, the
    last term takes them out. So numbers are comparable with those of models of running words, and a model of equally
    likely words has V exactly. Most published numbers of variational topic models are upper bounds, with the ELBO in
    place of log p(x): `estimate.info["elbo"]` is that of `importance`.

    By the delta method the errors are value · √(Σ_b stderr_b²) / N and value · √(B / (B − 1) Σ_b r_b²) / N, with N =
    Σ_b n_b and r_b = log p(w_b) + n_b log value, what a bag has beyond the mean of its words. As exp is convex, an
    estimate of log p(x) that is low in expectation gives one that is high in expectation; one that is high gives a
    lower bound only up to half the squared relative error.

    Args:
        estimate: log p(x) of each bag, given its total, in nats: from `importance`, `quadrature`, …
        x: the bags, `[B, V]`.

    Raises:
        ValueError: if x are no counts, not as many as the estimate has data, without a single word, or if the estimate
            is no log-likelihood of them or not finite.
    """
    counts = x.detach().double().cpu()
    if counts.ndim != 2 or len(counts) != len(estimate):
        raise ValueError(f"x: got shape {tuple(x.shape)}, expected [{len(estimate)}, V], the bags of the estimate")
    if not bool(((counts >= 0) & (counts == counts.round()) & counts.isfinite()).all()):
        raise ValueError("x: got values that are no counts, expected whole numbers 0, 1, 2, …")
    if said := next(filter(None, estimate.unnormalised), ""):
        raise ValueError(f"estimate: its values are no log-likelihood ({said}), so there is no perplexity")
    if unknown := int((~estimate.value.isfinite()).sum()):
        raise ValueError(f"estimate: {unknown} of {len(x)} bags have no finite value, so all of them have none")
    totals = counts.sum(1)
    num_words = totals.sum()
    if num_words == 0:
        raise ValueError("x: got empty bags only, expected at least one word")
    orders = (totals + 1).lgamma() - (counts + 1).lgamma().sum(1)
    log_p = estimate.value.double().cpu() - orders  # of the words in their order, [B]
    mean = log_p.sum() / num_words
    value, beyond, num_bags = (-mean).exp(), log_p - mean * totals, len(counts)
    variance = beyond.square().sum() * num_bags / (num_bags - 1) if num_bags > 1 else torch.tensor(torch.nan)
    return Perplexity(
        value=value.item(),
        stderr=(value * estimate.stderr.double().cpu().square().sum().sqrt() / num_words).item(),
        spread=(value * variance.sqrt() / num_words).item(),
        bound=_BOUNDS[estimate.bound],
        num_words=int(num_words),
        num_flagged=sum(map(bool, estimate.flags)),
    )
