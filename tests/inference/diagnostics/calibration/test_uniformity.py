"""Tests of uniformity against brute force, simulation and each other."""

import itertools
import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from elbowroom.inference.diagnostics.calibration.uniformity import GRID, WORTH, band, counts_below, uniformity
from toys.programs import generator

SIGMA = 4.0  # of a share among thousands of simulations


def uniform(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=generator(seed), dtype=torch.float64)


def leaves(u: Tensor, low: Tensor, high: Tensor) -> Tensor:
    counts = counts_below(u)
    edges = torch.zeros(2, u.shape[1]).double()
    difference = torch.cat([edges[:1], counts / len(u) - GRID[1:-1].unsqueeze(1), edges[1:]])
    return ((difference < low.unsqueeze(1) - 1e-12) | (difference > high.unsqueeze(1) + 1e-12)).any(0)


def near(share: float, expected: float, count: int) -> bool:
    return abs(share - expected) < SIGMA * math.sqrt(expected * (1 - expected) / count)


def test_exact_p_value_of_the_ecdf() -> None:
    """Two numbers on the grid's cells: all 100² places can be counted."""
    cells = torch.tensor(list(itertools.product(range(100), repeat=2)), dtype=torch.float64)
    u = (cells.T + 0.5) / 100  # [2, 10000]
    p = uniformity(u).parts[0]
    # The p-value of a place is the share of places that are as extreme: as many as have its p-value or a smaller one.
    expected = torch.stack([(p <= value + 1e-12).double().mean() for value in p.unique()])
    assert torch.allclose(p.unique(), expected, atol=1e-10)


@pytest.mark.parametrize("size", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_parts_are_exact(size: int) -> None:
    parts = uniformity(uniform(size, 4_000)).parts
    for level in (0.2, 0.05, 0.01):
        shares = (parts <= level).double().mean(1)
        assert near(float(shares[1]), level, 4_000) and near(float(shares[2]), level, 4_000)
        # Counts are discrete: an exact test may be a little below its level, never above.
        assert shares[0] < level + SIGMA * math.sqrt(level / 4_000) and shares[0] > 0.8 * level


@pytest.mark.parametrize("size", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_parts_together(size: int) -> None:
    found = uniformity(uniform(size, 4_000, seed=2))
    assert near(float((found.p_value <= 0.05).double().mean()), 0.05, 4_000)
    assert torch.equal(found.p_value, (WORTH * found.parts.amin(0)).clamp(max=1))


@pytest.mark.parametrize(("size", "level"), [(30, 0.05), (200, 0.05), (200, 0.2)])
def test_band_holds_whole_curves(size: int, level: float) -> None:
    low, high = band(size, level)
    share = float(leaves(uniform(size, 5_000, seed=3), low, high).double().mean())
    assert share < level + SIGMA * math.sqrt(level / 5_000)
    assert share > 0.7 * level
    assert torch.equal(low[[0, -1]], torch.zeros(2)) and torch.equal(high[[0, -1]], torch.zeros(2))
    assert torch.allclose(low, -high.flip(0), atol=1e-12)


def test_bands_of_fifty_quantities() -> None:
    """All 50 curves stay inside in 95 % of all families."""
    low, high = band(200, 0.05 / 50)
    left = leaves(uniform(200, 50 * 600, seed=4), low, high).unflatten(0, (600, 50)).any(1)
    share = float(left.double().mean())
    assert 0.02 < share < 0.05 + SIGMA * math.sqrt(0.05 / 600)


def test_band_and_p_value_agree() -> None:
    low, high = band(100, 0.1)
    u = uniform(100, 500, seed=5)
    assert torch.equal(leaves(u, low, high), uniformity(u).parts[0] <= 0.1)


def test_curves_shift_and_spread() -> None:
    u = torch.special.ndtr(0.3 + 0.8 * stats_scores(101)).unsqueeze(1)
    found = uniformity(u)
    assert torch.allclose(found.shift, torch.tensor([0.3]), atol=1e-12)
    assert torch.allclose(found.spread, torch.tensor([0.8]) * stats_scores(101).std(), atol=1e-12)
    expected = torch.stack([(u <= t).double().mean() for t in GRID]) - GRID
    assert torch.allclose(found.difference[:, 0], expected, atol=1e-12)
    assert torch.equal(counts_below(u)[:, 0], (u <= GRID[1:-1]).sum(0))


def stats_scores(size: int) -> Tensor:
    return torch.from_numpy(stats.norm.ppf((torch.arange(size).double().numpy() + 0.5) / size))


@pytest.mark.parametrize(("scale", "shift", "part"), [(1.25, 0.0, 2), (0.75, 0.0, 2), (1.0, 0.5, 1)])
def test_power(scale: float, shift: float, part: int) -> None:
    """At N = 200: found in more than 90 % by the part that is meant to, at a third of the level."""
    z = shift + torch.randn(200, 400, generator=generator(6), dtype=torch.float64)
    parts = uniformity(torch.special.ndtr(z / scale)).parts
    assert (parts[part] <= 0.05 / 3).double().mean() > 0.9


def test_extreme_numbers_have_finite_tests() -> None:
    u = torch.stack([torch.zeros(50), torch.ones(50), torch.full((50,), 0.5)], 1).double()
    found = uniformity(u)
    assert found.p_value.isfinite().all() and (found.p_value < 1e-6).all()
    assert found.shift[0] < 0 < found.shift[1]


def test_order_of_rows_and_columns() -> None:
    u = uniform(40, 6, seed=7)
    found, rows = uniformity(u), uniformity(u[torch.randperm(40)])
    assert torch.allclose(found.p_value, rows.p_value, rtol=1e-9)
    assert torch.allclose(found.p_value.flip(0), uniformity(u.flip(1)).p_value, rtol=1e-9)


@pytest.mark.parametrize("shape", [(1, 3), (5,)])
def test_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"two numbers for each of Q sets, \[N, Q\], got shape"):
        uniformity(torch.rand(shape))
