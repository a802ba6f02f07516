"""The tail of the weights: what it leaves open of their mean, when it is flagged, and the numbers beside k̂."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from elbowroom.inference import weights
from toys.failure_budget import sigmas

Z = 1.959964
LIGHT, HEAVY = (0.2, 0.36), (0.64, 0.75, 0.84, 0.91)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quadratic(*indices: float) -> Callable[[int, int, int], Tensor]:
    """log w − log E w of a Gaussian guide: Σ c ε²/2 over directions, tail index max c; one too wide has c < 0."""
    c = torch.tensor(indices)

    def draw(num_samples: int, num_data: int, seed: int) -> Tensor:
        noise = torch.randn(num_samples, num_data, len(c), generator=generator(seed))
        return (c / 2 * noise.square() + 0.5 * torch.log1p(-c)).sum(-1)

    return draw


def pareto(k: float) -> Callable[[int, int, int], Tensor]:
    """w = u^(−k), whose mean is 1/(1 − k)."""
    return lambda s, b, seed: -k * torch.rand(s, b, generator=generator(seed)).log() + math.log1p(-k)


GUIDES = {
    "too narrow": lambda k: quadratic(k),
    "in one of ten latents": lambda k: quadratic(k, *[0.05] * 9),
    "correlated": lambda k: quadratic(k, -k),
    "exactly Pareto": pareto,
}


def coverage(
    draw: Callable[[int, int, int], Tensor], num_samples: int, num_data: int, seed: int
) -> tuple[float, int, int]:
    """Share of unflagged 95 % intervals that hold log E w = 0, how many there are, and how many are flagged."""
    hits = sound = 0
    for part in range(0, num_data, 250):
        log_w = draw(num_samples, min(250, num_data - part), seed + part)
        tail = weights.tail_of(log_w)
        covers = weights.log_marginal(log_w).abs() <= Z * tail.widened(weights.log_marginal_stderr(log_w))
        hits, sound = hits + int((covers & ~tail.heavy).sum()), sound + int((~tail.heavy).sum())
    return hits / max(sound, 1), sound, num_data - sound


@pytest.mark.parametrize("index", [0.36, 0.75, 0.91])
def test_unflagged_intervals_cover_at_any_tail_index(index: float) -> None:
    """At least 85 % at S = 1000, and at most 3 % of the data flagged at index 0.36: few data, so allowing for noise."""
    share, sound, flagged = coverage(quadratic(index), 1000, 1000, seed=1)
    assert share > 0.85 - sigmas(6) * math.sqrt(0.85 * 0.15 / max(sound, 1))
    if index <= 0.36:
        assert flagged <= 30 and share > 0.92


@pytest.mark.slow
@pytest.mark.parametrize("num_samples", [100, 1000, 5000])
@pytest.mark.parametrize("guide", GUIDES)
def test_coverage_by_guide_and_sample_size(guide: str, num_samples: int) -> None:
    """Unflagged intervals cover at least 85 % at every index; at most 3 % are flagged up to 0.36 (at S = 100: 6 %)."""
    for index in (*LIGHT, *HEAVY):
        share, sound, flagged = coverage(
            GUIDES[guide](index), num_samples, 3000 if num_samples < 5000 else 1000, seed=7
        )
        total = sound + flagged
        assert share > 0.85 - sigmas(100) * math.sqrt(0.85 * 0.15 / max(sound, 1)), (index, share, sound)
        if index in LIGHT:
            assert flagged <= (0.03 if num_samples >= 1000 else 0.06) * total, (index, flagged)
            assert share > 0.92


def test_a_light_tail_widens_no_error_bar() -> None:
    """Weights with all moments: the delta method's error stands, to a few per cent."""
    log_w = 0.5 * torch.randn(2000, 50, generator=generator(3))
    tail, stderr = weights.tail_of(log_w), weights.log_marginal_stderr(log_w)
    assert not bool(tail.heavy.any())
    assert (tail.widened(stderr) / stderr).mean() < 1.02 and bool((tail.widened(stderr) >= stderr).all())


def test_a_posterior_with_longer_tails_than_the_guide() -> None:
    """Student-t with one degree of freedom, a normal guide of sd 2: 0.08 nats are beyond what 1000 draws reach."""
    target, guide = torch.distributions.StudentT(1.0), torch.distributions.Normal(0.0, 2.0)
    z = 2.0 * torch.randn(1000, 200, generator=generator(4))
    tail = weights.tail_of(target.log_prob(z) - guide.log_prob(z))
    assert tail.heavy.double().mean() > 0.75
    assert sum("farther out" in flag for flag in tail.flags()) > 30


@pytest.mark.parametrize(
    ("k", "k_long", "begins"),
    [
        (-math.inf, -math.inf, ""),
        (0.7, 0.6, ""),
        (0.701, 0.6, "Pareto k̂ = 0.70 > 0.7"),
        (math.inf, math.inf, "Pareto k̂ = inf > 0.7"),
        (0.6, 0.66, "Pareto k̂ of the 852 largest weights = 0.66 > 0.65"),
        (0.6, 0.1, "Pareto k̂ = 0.60 in the tail, 0.10 of the 852 largest"),
        (0.49, -1.0, ""),
        (math.nan, math.nan, ""),
    ],
)
def test_the_reason_says_the_numbers(k: float, k_long: float, begins: str) -> None:
    reason = weights.heavy_tail(k, k_long, 5000)
    assert reason.startswith(begins) and bool(reason) == bool(begins)


def test_an_odd_tail_of_nearly_equal_weights_is_not_worth_a_flag() -> None:
    assert weights.heavy_tail(0.6, 0.9, 5000, 0.05) and not weights.heavy_tail(0.6, 0.9, 5000, 0.03)


def test_fewer_weights_may_scatter_more() -> None:
    limits = [weights.k_limit(weights.tail_length(s)) for s in (50, 100, 400, 1000, 100_000)]
    assert limits == sorted(limits, reverse=True) and limits[0] > 0.95 and limits[-2:] == [0.7, 0.7]


def test_equal_and_too_few_weights() -> None:
    tail = weights.tail_of(torch.full((500, 2), -3.0))
    assert tail.k.tolist() == tail.k_long.tolist() == [-math.inf] * 2 and tail.open_above.tolist() == [0.0, 0.0]
    few = weights.tail_of(torch.randn(20, 2, generator=generator(5)))
    assert bool(few.k.isnan().all()) and not any(few.flags())
    stderr = torch.tensor([0.1, math.nan])
    torch.testing.assert_close(few.widened(stderr), stderr, equal_nan=True)


def test_a_datum_has_its_own_tail() -> None:
    """Company changes nothing, and NaN or infinite weights are their own datum's affair."""
    log_w = quadratic(0.64)(1000, 5, 6)
    alone = weights.tail_of(log_w[:, :1])
    log_w[3, 1], log_w[3, 2] = torch.nan, torch.inf
    both = weights.tail_of(log_w)
    for one, other in zip(alone[:3], both[:3], strict=True):
        torch.testing.assert_close(one, other[:1], rtol=1e-12, atol=1e-12)
    assert bool(both.k[1:3].isnan().all()) and bool(both.open_above.isfinite().all())


# As the vignette "Pareto-khat diagnostics" of the R package posterior prints them: k̂, S, min_ss, convergence rate.
VIGNETTE = [
    (-0.072, 4000, 10.0, 1.0),
    (0.33, 4000, 31.0, 0.98),
    (0.41, 4000, 48.0, 0.95),
    (0.52, 4000, 116.0, 0.86),
    (0.69, 4000, 1746.0, 0.60),
    (0.67, 4000, 1051.0, 0.64),
    (0.32, 400, 29.0, 0.96),
    (0.38, 400, 41.0, 0.93),
    (0.47, 400, 79.0, 0.86),
    (0.63, 400, 490.0, 0.68),
    (1.0, 4000, math.inf, 0.0),
]


@pytest.mark.parametrize(("k", "num_samples", "min_ss", "rate"), VIGNETTE)
def test_numbers_beside_k_are_those_of_posterior(k: float, num_samples: int, min_ss: float, rate: float) -> None:
    """The vignette's k̂ has two digits, so its other numbers are held within half a unit of the last of them."""
    near = torch.tensor([k - 0.005, k, k + 0.005])
    low, _, high = weights.min_sample_size(near).tolist()
    assert low * 0.985 <= min_ss <= high * 1.015
    high, found, low = weights.convergence_rate(near, num_samples).tolist()
    assert low - 0.006 <= rate <= high + 0.006 and 0 <= found <= 1


def test_the_convergence_rate_has_no_jumps() -> None:
    """At ½ R's value is off the limit by 1/(S − 1)."""
    k = torch.tensor([-1.0, 0.0, 1e-9, 0.5 - 1e-7, 0.5, 0.5 + 1e-7, 1 - 1e-9, 1.0, 2.0, math.nan])
    rate = weights.convergence_rate(k, 1000)
    expected = torch.tensor([1.0, 1.0, 1.0, *[1 - 1 / math.log(1000)] * 3, 0.0, 0.0, 0.0, math.nan])
    torch.testing.assert_close(rate, expected, rtol=0, atol=1.1 / 999, equal_nan=True)
    assert bool(weights.min_sample_size(k)[-1:].isnan())
