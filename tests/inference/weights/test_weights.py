"""Reductions of log w [S, B]: identities, known answers, and ArviZ's PSIS as the reference for k̂."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from elbowroom.inference import weights
from toys import arviz_oracle
from toys.failure_budget import sigmas
from toys.programs import generator

FINITE = st.floats(-300.0, 300.0, width=64)


@st.composite
def log_weights(draw: st.DrawFn, min_samples: int = 1, max_samples: int = 60) -> Tensor:
    shape = (draw(st.integers(min_samples, max_samples)), draw(st.integers(1, 3)))
    # Few distinct values now and then: ties are where order statistics go wrong.
    elements = draw(st.sampled_from([FINITE, st.sampled_from([-2.0, 0.0, 0.5, 1.0])]))
    return torch.from_numpy(draw(hnp.arrays(np.float64, shape, elements=elements)))


def close(found: Tensor, expected: Tensor, rtol: float = 1e-9) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=1e-9)


# Identities ----------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(log_w=log_weights(), shift=st.floats(-1e3, 1e3))
def test_shift_adds_to_bounds_and_leaves_shapes_alone(log_w: Tensor, shift: float) -> None:
    close(weights.elbo(log_w + shift), weights.elbo(log_w) + shift)
    close(weights.log_marginal(log_w + shift), weights.log_marginal(log_w) + shift)
    close(weights.ess(log_w + shift), weights.ess(log_w), rtol=1e-6)
    close(weights.normalized(log_w + shift), weights.normalized(log_w), rtol=1e-6)


@settings(max_examples=100, deadline=None)
@given(log_w=log_weights(), order=st.randoms(use_true_random=False))
def test_order_of_the_samples_does_not_matter(log_w: Tensor, order: object) -> None:
    rows = list(range(len(log_w)))
    order.shuffle(rows)  # type: ignore[attr-defined]
    for reduce in (weights.elbo, weights.log_marginal, weights.ess, weights.pareto_k, weights.log_marginal_stderr):
        torch.testing.assert_close(reduce(log_w[rows]), reduce(log_w), rtol=1e-9, atol=1e-9, equal_nan=True)


@settings(max_examples=100, deadline=None)
@given(log_w=log_weights())
def test_bounds_in_their_order(log_w: Tensor) -> None:
    """ELBO ≤ IWAE-K ≤ IWAE-S for K | S on the same weights (Jensen), and 1 ≤ ESS ≤ S."""
    num_samples = len(log_w)
    divisors = [k for k in range(1, num_samples + 1) if num_samples % k == 0]
    bounds = torch.stack([weights.iwae(log_w, k) for k in divisors])
    close(bounds[0], weights.elbo(log_w))
    close(bounds[-1], weights.log_marginal(log_w))
    for smaller, larger in itertools.pairwise(divisors):
        if larger % smaller == 0:
            low, high = weights.iwae(log_w, smaller), weights.iwae(log_w, larger)
            assert bool((low <= high + 1e-9 * (1 + high.abs())).all())
    ess = weights.ess(log_w)
    assert bool((ess >= 1 - 1e-9).all()) and bool((ess <= num_samples * (1 + 1e-9)).all())


@settings(max_examples=100, deadline=None)
@given(log_w=log_weights(max_samples=40), data=st.data())
def test_data_do_not_mix(log_w: Tensor, data: st.DataObject) -> None:
    b = data.draw(st.integers(0, log_w.shape[1] - 1))
    k = data.draw(st.integers(1, len(log_w)))
    reductions = (
        weights.elbo,
        weights.elbo_stderr,
        weights.log_marginal,
        weights.log_marginal_stderr,
        weights.ess,
        weights.pareto_k,
        weights.is_constant,
        lambda w: weights.iwae(w, k),
    )
    for reduce in reductions:
        whole, alone = reduce(log_w)[b : b + 1], reduce(log_w[:, b : b + 1])
        torch.testing.assert_close(alone, whole, rtol=1e-9, atol=1e-9, equal_nan=True)


def test_against_sums_written_out() -> None:
    w = torch.tensor([[1.0, 4.0], [2.0, 4.0], [3.0, 4.0], [2.0, 4.0]])
    log_w = w.log()
    close(weights.log_marginal(log_w), torch.tensor([2.0, 4.0]).log())
    close(weights.elbo(log_w), torch.tensor([math.log(12.0) / 4, math.log(4.0)]))
    close(weights.ess(log_w), torch.tensor([64 / 18, 4.0]))
    close(weights.iwae(log_w, 2), torch.tensor([(math.log(1.5) + math.log(2.5)) / 2, math.log(4.0)]))
    close(weights.iwae(log_w, 3), torch.tensor([math.log(2.0), math.log(4.0)]))  # the fourth is left over
    close(weights.normalized(log_w)[:, 0], w[:, 0] / 8)
    # Var w = 2/3 (unbiased), over S = 4 and the squared mean 4
    close(weights.log_marginal_stderr(log_w), torch.tensor([math.sqrt(2 / 3 / 4) / 2, 0.0]))
    assert weights.is_constant(log_w).tolist() == [False, True]


def test_iwae_refuses_more_particles_than_samples() -> None:
    for k in (0, 5):
        with pytest.raises(ValueError, match=rf"num_particles must be between 1 and the 4 samples given, got {k}"):
            weights.iwae(torch.zeros(4, 2), k)


# Extremes ------------------------------------------------------------------------------------------------------------


def test_weights_of_zero() -> None:
    """A guide that draws where the model has no mass: zero weights count in the mean, and are not "constant"."""
    log_w = torch.randn(1000, 2, generator=generator())
    log_w[::2, 0] = -torch.inf
    half = log_w[1::2, 0]
    close(weights.log_marginal(log_w)[0], weights.log_marginal(half[:, None])[0] - math.log(2))
    close(weights.ess(log_w)[0], weights.ess(half[:, None])[0])
    assert weights.elbo(log_w)[0] == -torch.inf
    assert not bool(weights.is_constant(log_w).any())
    assert bool(weights.pareto_k(log_w).isfinite().all())


def test_nothing_but_zero_infinite_and_nan_weights_have_no_tail() -> None:
    log_w = torch.randn(100, 4, generator=generator())
    log_w[:, 0] = -torch.inf
    log_w[7, 1], log_w[7, 2] = torch.inf, torch.nan
    assert weights.pareto_k(log_w).isnan().tolist() == [True, True, True, False]
    assert not bool(weights.is_constant(log_w).any())


def test_constant_weights_are_named() -> None:
    """Up to rounding, in either precision; a spread of a thousand √eps is variation."""
    for dtype in (torch.float64, torch.float32):
        eps = torch.finfo(dtype).eps
        jitter = torch.rand(200, 1, generator=generator()).to(dtype)
        for level, noise in ((-87.3, 50 * 87.3 * eps), (0.0, 0.9 * eps**0.5), (2e5, min(50 * 2e5 * eps, 0.04))):
            assert weights.pareto_k(level + noise * jitter).tolist() == [-math.inf]
        for level in (-87.3, 0.0):
            varied = level + 1000 * eps**0.5 * jitter
            assert not bool(weights.is_constant(varied)) and bool(weights.pareto_k(varied).isfinite())


def test_weights_too_large_for_their_rounding_are_never_constant() -> None:
    """All −1e8 in float32, where a unit in the last place is 8 nats: equal weights say nothing; in float64 they do."""
    for spread in (0.0, 8.0):
        log_w = torch.tensor([-1e8, -1e8 + spread] * 50).unsqueeze(1)
        assert not bool(weights.is_constant(log_w.float()).any())
        assert bool(weights.is_constant(log_w).all()) == (spread == 0.0)
    # A spread that matters is no rounding, whatever the size.
    assert not bool(weights.is_constant(torch.tensor([[2e5], [2e5 + 0.1]], dtype=torch.float32)).any())


def test_what_rounding_leaves_unknown_is_said_in_nats() -> None:
    single, double = torch.finfo(torch.float32).eps, torch.finfo(torch.float64).eps
    value = torch.tensor([-1e8, -90.0, -torch.inf, torch.nan])
    close(weights.rounding_error(value, single), torch.tensor([1e8 * single, 0.0, 0.0, 0.0]))
    assert weights.rounding_error(value, double)[1:].tolist() == [0.0, 0.0, 0.0]
    assert "1e+01 nats only in float32: use float64" in weights.rounding_flag(-1e8, single)
    assert "only in float64" in weights.rounding_flag(-1e18, double)
    assert not any(weights.rounding_flag(v, e) for v, e in ((-90.0, single), (-1e8, double), (-math.inf, single)))


def test_one_sample_says_nothing_about_its_spread() -> None:
    log_w = torch.tensor([[0.3, -2.0]])
    close(weights.log_marginal(log_w), log_w[0])
    close(weights.ess(log_w), torch.ones(2))
    assert bool(weights.elbo_stderr(log_w).isnan().all())
    assert bool(weights.log_marginal_stderr(log_w).isnan().all())


# Pareto k̂ ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_samples", [21, 24, 25, 100, 101, 224, 225, 226, 1000, 5000])
@pytest.mark.parametrize("scale", [1e-6, 0.3, 1.0, 3.0, 30.0])
def test_pareto_k_is_psislws(num_samples: int, scale: float) -> None:
    if weights.tail_length(num_samples) < arviz_oracle.SHORTEST_TAIL:
        pytest.skip("ArviZ 1.x has no k̂ for a tail of five weights")
    log_w = scale * torch.randn(num_samples, 6, generator=generator(num_samples))
    # Excesses of weights that differ by `scale` are known to eps / scale, and each library rounds in its own order.
    tolerance = 1e-10 + 100 * torch.finfo(log_w.dtype).eps / scale
    torch.testing.assert_close(weights.pareto_k(log_w), arviz_oracle.pareto_k(log_w), rtol=tolerance, atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(levels=st.integers(5, 40), num_samples=st.integers(50, 400), seed=st.integers(0, 1000))
def test_pareto_k_is_psislws_with_ties(levels: int, num_samples: int, seed: int) -> None:
    """Weights of a discrete guide take few values; those tied with the threshold are no part of the tail."""
    log_w = (levels * torch.rand(num_samples, 3, generator=generator(seed))).floor() / 5
    reference = arviz_oracle.pareto_k(log_w)
    known = reference.isfinite()
    torch.testing.assert_close(weights.pareto_k(log_w)[known], reference[known], rtol=1e-8, atol=1e-8)


def test_two_valued_weights() -> None:
    """Bounded weights: no tail where the top value is common, no answer where it is rare."""
    log_w = torch.zeros(1000, 3)
    log_w[:500, 0] = 1.0
    log_w[:40, 1] = 1.0
    log_w[:2, 2] = 1.0
    k = weights.pareto_k(log_w)
    assert k[0] == -math.inf and k[1] < 0 and bool(k[2].isnan())


def test_few_samples_give_no_k() -> None:
    assert bool(weights.pareto_k(torch.randn(20, 2, generator=generator())).isnan().all())
    assert bool(weights.pareto_k(torch.randn(21, 2, generator=generator())).isfinite().all())


def test_a_few_weights_that_dwarf_all_others() -> None:
    log_w = 3000.0 * torch.randn(1000, 2, generator=generator())
    assert weights.pareto_k(log_w).tolist() == [math.inf, math.inf]


@pytest.mark.parametrize("k", [0.2, 0.5, 0.7, 1.0])
def test_pareto_k_of_pareto_tails(k: float) -> None:
    """w = u^(−k): exactly Pareto. The mean over data must lie within the known pull of the prior plus 4 s.e."""
    log_w = -k * torch.rand(4000, 300, generator=generator()).log()
    found, num_tail = weights.pareto_k(log_w), weights.tail_length(4000)
    pulled = (num_tail * k + 5) / (num_tail + 10)  # ten pseudo-observations of 0.5
    error = found.std() / math.sqrt(300)
    assert abs(found.mean() - pulled) < sigmas(4) * error + 0.01  # the estimator's own bias is O(1/M)
    # The stated standard error is asymptotic; the spread over data agrees with it within 10 %.
    stated = weights.pareto_k_stderr(torch.full((1,), k), 4000).item() * num_tail / (num_tail + 10)
    assert found.std().item() == pytest.approx(stated, rel=0.1)


def test_float32_weights() -> None:
    log_w = torch.randn(2000, 3, generator=generator(), dtype=torch.float32)
    close(weights.pareto_k(log_w), weights.pareto_k(log_w.double()), rtol=1e-6)
    assert weights.log_marginal(log_w).dtype == torch.float32
    torch.testing.assert_close(
        weights.log_marginal(log_w).double(), weights.log_marginal(log_w.double()), rtol=1e-5, atol=1e-5
    )


def test_memory_of_the_fit_is_that_of_the_tail() -> None:
    """Not times the grid of the profile likelihood: 10,000 data would take gigabytes."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(tensor, Tensor):
                    self.numel = max(self.numel, tensor.numel())
            return out

    top = torch.randn(301, 50, generator=generator()).sort(0, descending=True).values
    with Largest() as largest:
        weights.pareto_k_of_tail(top)
    assert largest.numel <= 301 * 50
