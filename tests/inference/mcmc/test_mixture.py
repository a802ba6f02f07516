"""The mixture is a density, its draws are draws of it, and a fit follows the points wherever they are."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from elbowroom.inference.mcmc.mixture import WIDE_SHARE, WIDTH, Mixture
from toys.failure_budget import BUDGET, sigmas
from toys.programs import data, generator


def uniform(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, generator=generator(seed), dtype=torch.float64)


def draw(mixture: Mixture, count: int, seed: int = 0) -> Tensor:
    num_data, _, dim = mixture.mean.shape
    return mixture.sample(
        data(count, num_data, dim, seed=seed + 1),
        uniform(count, num_data, seed=seed + 2),
        uniform(count, num_data, seed=seed + 3),
    )


def two_modes(num_points: int = 512, num_data: int = 3, dim: int = 2) -> Tensor:
    """Modes at −4 and 4 in the first direction with shares .25 and .75; the second mode is twice as narrow."""
    left = torch.arange(num_points) % 4 == 0
    noise = data(num_points, num_data, dim, seed=4) * torch.where(left, 1.0, 0.5)[:, None, None]
    centre = torch.zeros(num_points, 1, dim)
    centre[:, 0, 0] = torch.where(left, -4.0, 4.0)
    return centre + noise


def by_hand(mixture: Mixture, u: Tensor) -> Tensor:
    """log q by torch's distributions, `[S, B]`."""
    terms = []
    for k in range(mixture.mean.shape[1]):
        for share, width in ((1 - WIDE_SHARE, 1.0), (WIDE_SHARE, WIDTH)):
            part = torch.distributions.MultivariateNormal(mixture.mean[:, k], scale_tril=width * mixture.factor[:, k])
            terms.append(part.log_prob(u) + mixture.log_share[:, k] + math.log(share))
    return torch.stack(terms).logsumexp(0)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_log_density_is_that_of_the_mixture_written_out(dim: int) -> None:
    mixture = Mixture.fit(two_modes(dim=dim) + data(512, 3, dim).cumsum(-1))
    u = 3 * data(40, 3, dim, seed=9)
    torch.testing.assert_close(mixture.log_density(u), by_hand(mixture, u))
    eye = torch.eye(dim).expand_as(mixture.factor)
    torch.testing.assert_close(mixture.inverse @ mixture.factor, eye)
    torch.testing.assert_close(mixture.log_share.exp().sum(1), torch.ones(3))


@pytest.mark.slow
def test_density_integrates_to_one() -> None:
    line = Mixture.fit(two_modes(dim=1))
    grid = torch.linspace(-250, 250, 100_001)
    density = line.log_density(grid[:, None, None].expand(-1, 3, 1)).exp()
    torch.testing.assert_close(torch.trapezoid(density, grid, dim=0), torch.ones(3), rtol=1e-10, atol=0)
    plane = Mixture.fit(two_modes(num_data=1) @ torch.tensor([[1.0, 0.7], [0.0, 1.0]]))
    side = torch.linspace(-90, 90, 901)  # to six standard deviations of the widest component
    points = torch.cartesian_prod(side, side).unsqueeze(1)
    mass = plane.log_density(points).exp().sum(0) * (side[1] - side[0]) ** 2
    torch.testing.assert_close(mass, torch.ones(1), rtol=1e-8, atol=0)


def test_draws_are_of_the_density() -> None:
    """Kolmogorov–Smirnov in one dimension; in five, E_q[r/q] = 1 and moments for a reference density r."""
    line = Mixture.fit(two_modes(dim=1))
    drawn = draw(line, 20_000)
    grid = torch.linspace(-250, 250, 100_001)
    density = line.log_density(grid[:, None, None].expand(-1, 3, 1)).exp()
    cumulative = torch.cumulative_trapezoid(density, grid, dim=0)
    for b in range(3):
        u = torch.searchsorted(grid, drawn[:, b, 0].contiguous()).clamp(1, len(grid) - 1) - 1
        below = cumulative[(u - 1).clamp_min(0), b] + density[u, b] * (drawn[:, b, 0] - grid[u])
        assert stats.kstest(below.numpy(), "uniform").pvalue > BUDGET / 3
    many = Mixture.fit(two_modes(dim=5) + data(512, 3, 5).cumsum(-1))
    whole = many.mean[:, -1], many.factor[:, -1] / WIDTH  # of all points: the backdrop without its width
    reference = torch.distributions.MultivariateNormal(whole[0], scale_tril=0.8 * whole[1])
    u = draw(many, 40_000)
    ratio = (reference.log_prob(u) - many.log_density(u)).exp()
    for moment, expected in ((ratio, 1.0), (ratio * (u[..., 0] - whole[0][:, 0]), 0.0)):
        stderr = moment.std(0) / math.sqrt(len(u))
        assert ((moment.mean(0) - expected) / stderr).abs().max() < sigmas(6)
        assert stderr.max() < 0.1


def test_fit_finds_two_modes_and_their_shares() -> None:
    mixture = Mixture.fit(two_modes(), num_components=2)
    for b in range(3):
        left, right = mixture.mean[b, :2, 0].argsort().tolist()
        backdrop = 1 - mixture.log_share[b, 2].exp()
        assert abs(mixture.log_share[b, left].exp() / backdrop - 0.25) < 1e-3
        # Standard errors of the means of 128 and 384 points with standard deviations 1 and .5, five sigma.
        assert mixture.mean[b, left].sub(torch.tensor([-4.0, 0.0])).abs().max() < 5 / math.sqrt(128)
        assert mixture.mean[b, right].sub(torch.tensor([4.0, 0.0])).abs().max() < 2.5 / math.sqrt(384)
        # The bulk of points is within: the narrow part of a component is as wide as its mode, but for the shrinkage.
        for k, sd in ((left, 1.0), (right, 0.5)):
            assert 0.8 * sd < mixture.factor[b, k].diagonal().amin()
            assert mixture.factor[b, k].diagonal().amax() < 1.3 * sd + 0.2
    in_left = mixture.log_density(torch.tensor([-4.0, 0.0]).expand(1, 3, 2))
    assert (in_left - math.log(0.25 * 0.9 / (2 * math.pi))).abs().max() < 0.4


def test_a_mode_of_one_point_in_a_hundred_is_covered() -> None:
    points = data(512, 2, 2)
    points[:5] += 30.0
    mixture = Mixture.fit(points)
    there = torch.full((1, 2, 2), 30.0)
    assert mixture.log_density(there).min() > math.log(0.02 / (2 * math.pi * 12))


def test_modes_far_apart_have_a_component_each() -> None:
    """Five of them, of unlike shares: each is the farthest point from all centres before, once."""
    modes = torch.tensor([[0.0, 0.0], [40.0, 0.0], [-45.0, 3.0], [2.0, 60.0], [1.0, -30.0]])
    which = torch.tensor([0] * 200 + [1] * 200 + [2] * 52 + [3] * 40 + [4] * 20)
    points = modes[which].unsqueeze(1) + data(512, 2, 2)
    mixture = Mixture.fit(points, num_components=5)
    for b in range(2):
        gaps = torch.cdist(modes, mixture.mean[b, :5])
        assert gaps.amin(1).max() < 5 / math.sqrt(20)  # five sigma of the mean of the smallest mode


@settings(max_examples=20, deadline=None)
@given(st.floats(-8, 8), st.floats(-50, 50), st.booleans())
def test_fit_is_equivariant_under_scaling_and_shifts(log_scale: float, shift: float, flip: bool) -> None:
    points, u = two_modes(256, 2), data(20, 2, 2, seed=8)
    factor = torch.tensor([math.exp(log_scale), -math.exp(-log_scale) if flip else math.exp(-log_scale)])
    straight, other = Mixture.fit(points), Mixture.fit(points * factor + shift)
    log_det = factor.abs().log().sum()
    torch.testing.assert_close(
        other.log_density(u * factor + shift) + log_det, straight.log_density(u), atol=5e-5, rtol=5e-6
    )


def test_a_datum_is_fitted_by_itself() -> None:
    points = torch.cat([two_modes(256, 2), 100 * data(256, 1, 2), data(256, 1, 2) ** 3], 1)
    whole = Mixture.fit(points)
    u = data(20, 4, 2, seed=8)
    for b in range(4):
        alone = Mixture.fit(points[:, [b]])
        torch.testing.assert_close(alone.log_density(u[:, [b]]), whole.log_density(u)[:, [b]], rtol=1e-9, atol=1e-9)
    rows = torch.tensor([3, 1])
    assert torch.equal(whole.select(rows).log_density(u[:, rows]), whole.log_density(u)[:, rows]) or torch.allclose(
        whole.select(rows).log_density(u[:, rows]), whole.log_density(u)[:, rows], rtol=1e-12
    )
    numbers = data(7, 4, 2), uniform(7, 4, seed=1), uniform(7, 4, seed=2)
    some = whole.select(rows).sample(*(t[:, rows] for t in numbers))
    torch.testing.assert_close(some, whole.sample(*numbers)[:, rows])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["equal", "zero", "two points", "one line", "huge", "tiny", "one direction huge"])
def test_degenerate_points(kind: str, dtype: torch.dtype) -> None:
    size = 1e12 if dtype == torch.float32 else 1e100
    noise = data(512, 2, 3)
    points = {
        "equal": torch.full((512, 2, 3), 1.7),
        "zero": torch.zeros(512, 2, 3),
        "two points": torch.where(torch.arange(512) % 2 == 0, 1.0, -1.0)[:, None, None].expand(512, 2, 3),
        "one line": noise[..., :1].expand(512, 2, 3),
        "huge": size * noise,
        "tiny": noise / size**0.5,
        "one direction huge": noise * torch.tensor([1.0, size**0.5, 1.0]),
    }[kind].to(dtype)
    mixture = Mixture.fit(points)
    assert all(bool(t.isfinite().all()) for t in (mixture.log_share, mixture.mean, mixture.factor))
    drawn = mixture.sample(data(30, 2, 3).to(dtype), uniform(30, 2, seed=1), uniform(30, 2, seed=2))
    assert drawn.dtype == dtype and bool(drawn.isfinite().all())
    density = mixture.log_density(points)
    assert density.dtype == dtype and bool(density.isfinite().all())


def test_float32_agrees_with_float64() -> None:
    points, u = two_modes(), 3 * data(50, 3, 2)
    exact, single = Mixture.fit(points).log_density(u), Mixture.fit(points.float()).log_density(u.float())
    torch.testing.assert_close(single.double(), exact, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.0, 1e-9, 1e-6])
def test_points_that_have_collapsed_give_a_density_of_their_own_draws(dtype: torch.dtype, spread: float) -> None:
    """All points in one place, far from zero: draws are told apart there, and their density is the one written out."""
    centre = torch.tensor([3.0, -0.02, 700.0, 0.0])
    points = (centre + spread * centre * data(512, 3, 4)).to(dtype)
    mixture = Mixture.fit(points, count_modes=True)
    u = mixture.sample(data(200, 3, 4, seed=1).to(dtype), uniform(200, 3, seed=2), uniform(200, 3, seed=3))
    written_out = Mixture(*(getattr(mixture, name).double() for name in ("log_share", "mean", "factor", "inverse")))
    torch.testing.assert_close(mixture.log_density(u).double(), by_hand(written_out, u.double()), rtol=0, atol=0.05)
    assert all(len(u[:, b, k].unique()) > 100 for b in range(3) for k in range(4))
    typical = by_hand(written_out, u.double()) - by_hand(written_out, mixture.mean[:, 0].double().unsqueeze(0))
    assert typical.min() > -100  # within fourteen standard deviations: it does not hide where it drew
