"""Perplexity: models whose words' probabilities are known, both errors by simulation, what it bounds, refusals."""

import math
import re

import pytest
import torch
from scipy import stats
from torch.distributions import Multinomial

from elbowroom.inference import Estimate, perplexity

V = 5
X = torch.tensor([[2, 1, 0, 4, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 9], [0, 3, 3, 0, 1]], dtype=torch.float64)


def log_p(probs: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Of bags given their totals."""
    return torch.tensor(stats.multinomial.logpmf(x.numpy(), x.sum(1).numpy(), probs.double().numpy()))


def exactly(value: torch.Tensor, stderr: float = 0.0, **options) -> Estimate:
    return Estimate(value, torch.full_like(value, stderr), options.pop("bound", "exact"), **options)


def test_equally_likely_words_have_the_size_of_the_vocabulary() -> None:
    found = perplexity(exactly(log_p(torch.ones(V) / V, X)), X)
    assert found.value == pytest.approx(V, rel=1e-12) and found.spread == pytest.approx(0, abs=1e-6)
    assert (found.bound, found.num_words, found.num_flagged, found.stderr) == ("exact", 24, 0, 0)


def test_it_is_that_of_the_words_in_their_order() -> None:
    probs = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25])
    words = torch.cat([torch.arange(V).repeat_interleave(bag.long()) for bag in X])
    expected = math.exp(-probs[words].log().mean())
    assert perplexity(exactly(log_p(probs, X)), X).value == pytest.approx(expected, rel=1e-12)


def test_the_error_of_estimating_is_the_spread_of_estimates() -> None:
    value, noise = log_p(torch.ones(V) / V, X), 0.05 * torch.randn(4000, len(X))
    found = [perplexity(exactly(value + n, 0.05), X) for n in noise]
    values = torch.tensor([one.value for one in found])
    assert values.std().item() == pytest.approx(found[0].stderr, rel=4 / math.sqrt(2 * 4000))


def test_the_spread_is_that_over_samples_of_bags() -> None:
    """Of bags from two sources and of two lengths, so that the mean is a ratio of two sums that go together."""
    low, high = torch.tensor([0.5, 0.5, 0, 0, 0]), torch.ones(V) / V
    bags = torch.cat([Multinomial(4, low).sample((100,)), Multinomial(12, high).sample((100,))])
    known = log_p(torch.tensor([0.4, 0.3, 0.1, 0.1, 0.1]), bags)
    found = [perplexity(exactly(known[rows]), bags[rows]) for rows in torch.randint(0, 200, (1000, 150))]
    values, spreads = (torch.tensor(numbers) for numbers in zip(*((f.value, f.spread) for f in found), strict=True))
    assert values.std().item() == pytest.approx(spreads.mean().item(), rel=4 / math.sqrt(2 * 1000) + 0.01)


def test_a_lower_bound_of_log_p_is_an_upper_one_and_flags_are_counted() -> None:
    value = log_p(torch.ones(V) / V, X)
    found = perplexity(exactly(value - 1, 0.1, bound="lower", flags=("", "heavy", "", "")), X)
    assert found.bound == "upper" and found.value > V and found.num_flagged == 1
    assert re.match(r"perplexity \d.*an upper bound.*of 24 words", str(found)) and "1 bags are flagged" in str(found)
    low, high = found.interval
    assert high - low == pytest.approx(2 * 1.959964 * found.stderr) and low < found.value < high
    assert perplexity(exactly(value, bound="upper"), X).bound == "lower"
    assert math.isnan(perplexity(exactly(value[:1]), X[:1]).spread)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (X[:2], {}, "expected [4, V]"),
        (X - 0.5, {}, "no counts"),
        (X - 1, {}, "no counts"),
        (X * 0, {}, "empty bags only"),
        (X, {"unnormalised": ("", "grey values", "", "")}, "no log-likelihood (grey values)"),
    ],
)
def test_what_has_no_perplexity_is_refused(x: torch.Tensor, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        perplexity(exactly(torch.zeros(4), **options), x)
    with pytest.raises(ValueError, match="estimate: 1 of 4 bags have no finite value"):
        perplexity(exactly(torch.tensor([0.0, torch.inf, 0.0, 0.0])), X)
