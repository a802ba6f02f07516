"""Flows of whole numbers: mass one, Jacobians, and the bound against quadrature over the noise of every state."""

import math
import sys
from functools import cache
from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from elbowroom.datasets import load
from elbowroom.densities.flow import LAYERS, FlowDensity
from toys.failure_budget import BUDGET, sigmas

pytestmark = pytest.mark.skipif(find_spec("zuko") is None, reason="flows are made of zuko, which is not installed")
every_kind = pytest.mark.parametrize("kind", LAYERS)
LEVELS = 3


@cache
def rough(kind: str, data_dim: int = 2) -> FlowDensity:
    """A flow that is far from the identity, standardised by skewed data."""
    torch.manual_seed(2)
    flow = FlowDensity(data_dim, LEVELS, kind, num_layers=2, hidden=(8,))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.mul_({"spline": 1.5, "maf": 1.2, "coupling": 1.0}[kind])
    x = torch.tensor([0.0, 0.0, 1.0, 2.0])[torch.randint(4, (50, data_dim))]
    flow._standardise(x)
    return flow.eval()


def states() -> Tensor:
    return torch.tensor(list(product(range(LEVELS), repeat=2)), dtype=torch.float64)


@cache
def quadrature(kind: str) -> tuple[Tensor, Tensor]:
    """log ∫ p and ∫ log p over each state's cell, less P log K, `[K^2]` each: 6 panels of 8 Gauss points in the logit.

    Near 0 and 1 the density of y is steep, and that of its logit is not.
    """
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(8))
    edges = (1e-3 + 0.998 * torch.arange(LEVELS + 1) / LEVELS).logit()
    width = edges.diff()[:, None] / 6  # [K, 1], of a panel
    raw = (edges[:-1, None] + width * ((nodes + 1) / 2 + torch.arange(6)[:, None]).flatten()).sigmoid()
    u = (raw - 1e-3) / 0.998 * LEVELS - torch.arange(LEVELS)[:, None]  # [K, 48], from 0 to 1
    w = LEVELS * raw * (1 - raw) / 0.998 * width / 2 * weights.repeat(6)
    first, second = states().long().T
    noise = torch.stack(torch.broadcast_tensors(u[first][:, :, None], u[second][:, None]), -1)  # [K^2, 48, 48, 2]
    with torch.no_grad():
        log_p = rough(kind).log_noisy(states()[:, None, None], noise)
    weight = w[first][:, :, None] * w[second][:, None]
    return (log_p + weight.log()).flatten(1).logsumexp(-1), (log_p * weight).flatten(1).sum(-1)


@every_kind
def test_the_density_of_real_numbers_integrates_to_one(kind: str) -> None:
    """Over a lattice of logits, so that none of the mass beyond 0 and 1 is left out; its Jacobian is written out."""
    raw = torch.linspace(-12, 12, 321) if kind == "spline" else torch.linspace(-22, 22, 221)  # a spline has kinks
    q = raw.sigmoid()
    y, step = (q - 1e-3) / 0.998, q * (1 - q) / 0.998 * (raw[1] - raw[0])
    with torch.no_grad():
        log_p = rough(kind).log_density(torch.cartesian_prod(y, y))
    assert (log_p.exp() @ torch.outer(step, step).flatten()).item() == pytest.approx(1, abs=1e-3)


@every_kind
def test_the_inverse_undoes_it_and_the_determinant_is_autograds(kind: str) -> None:
    flow = rough(kind, 3)
    v = 2 * torch.randn(7, 3)
    f, log_det = flow(v)
    torch.testing.assert_close(flow.inverse(f), v, rtol=1e-7, atol=1e-7)
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda row: flow(row)[0], row) for row in v])
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian).logabsdet)
    assert log_det.abs().min() > 1e-3


@every_kind
def test_the_bound_of_one_sample_is_the_mean_over_the_noise(kind: str) -> None:
    log_p, mean = quadrature(kind)
    found = rough(kind).log_prob(states(), seed=1, num_samples=1, num_repeats=1000)
    assert found.bound == "lower"
    assert bool((mean < log_p).all())
    assert bool(((found.value - mean).abs() < sigmas(9) * found.stderr).all())


@every_kind
def test_many_samples_give_the_probability(kind: str) -> None:
    log_p, mean = quadrature(kind)
    total = log_p.exp().sum().item()
    assert 0.9 < total < 1 + 1e-6  # the rest lies beyond 0 and 1
    few, many = (rough(kind).log_prob(states(), num_samples=S, num_repeats=40) for S in (8, 200))
    assert bool(((many.value - log_p).abs() < sigmas(9) * many.stderr + 0.005).all())
    assert few.value.mean() > mean.mean() + 4 * few.mean()[1]
    assert few.value.mean() < log_p.mean() + 4 * few.mean()[1]


@every_kind
def test_draws_follow_the_probabilities(kind: str) -> None:
    log_p, _ = quadrature(kind)
    x = rough(kind).sample(4000, seed=3)
    seen = torch.bincount((x @ torch.tensor([3.0, 1.0])).long(), minlength=9).double()
    expected = 4000 * log_p.softmax(0)
    statistic = ((seen - expected).square() / expected).sum().item()
    # What lies beyond the edges is put into the outer cells: a share below 1 %, which 4000 draws show no more than so.
    slack = 4000 * (1 - log_p.exp().sum().item()) ** 2 / log_p.exp().min().item()
    assert statistic < stats.chi2.isf(BUDGET / len(LAYERS), 8) + slack


def test_means_and_deviations_are_those_of_noisy_logits() -> None:
    x = torch.tensor([0.0, 0.0, 1.0, 2.0])[torch.randint(4, (50, 2))]
    flow = FlowDensity(2, LEVELS, "maf", hidden=(4,))
    flow._standardise(x)
    raw = (1e-3 + 0.998 * (x + torch.rand(20000, 50, 2)) / LEVELS).logit().flatten(0, 1)
    torch.testing.assert_close(flow.shift, raw.mean(0), rtol=0, atol=0.01)
    torch.testing.assert_close(flow.scale, raw.std(0), rtol=0, atol=0.01)


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"data_dim: got 1, expected at least 2"):
        FlowDensity(1)
    with pytest.raises(ValueError, match=r"kind: got 'planar', expected one of 'spline', 'maf', 'coupling'"):
        FlowDensity(2, kind="planar")
    with pytest.raises(ValueError, match=r"num_repeats: got 1, expected at least 2"):
        rough("maf").log_prob(states(), num_repeats=1)
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(ImportError, match=r"flows are made of zuko, .*pip install 'elbowroom\[flows\]'"):
        FlowDensity(2)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "bar"), [("spline", -101.0), ("maf", -115.0), ("coupling", -115.0)])
def test_digits_are_as_probable_as_elsewhere(kind: str, bar: float) -> None:
    """The bars are what flows of these kinds reached on affinely scaled values, with some room."""
    torch.set_default_dtype(torch.float32)
    digits = load("digits", binarize="none")
    train, validation, test = ((digits.split(name) * 16).round() for name in ("train", "validation", "test"))
    torch.manual_seed(0)
    flow = FlowDensity(64, kind=kind).fit(train, validation, num_epochs=30)
    found = flow.log_prob(test, num_samples=1)
    assert found.mean()[0] - 3 * found.mean()[1] > bar
    assert found.mean()[1] < 0.2 and math.isfinite(found.spread())
