"""What warm-up learns: scales, step sizes, trajectory lengths."""

import math

import numpy as np
import pytest
import torch
from pyro.ops.dual_averaging import DualAveraging as PyroDualAveraging
from sklearn.covariance import OAS
from torch import Tensor

from elbowroom.inference.mcmc.leapfrog import evaluate
from elbowroom.inference.mcmc.metric import MAX_DENSE, fit_scale, pull, size, stretch, whiten
from elbowroom.inference.mcmc.step_size import DualAveraging
from elbowroom.inference.mcmc.trajectory import Chees, halton
from elbowroom.inference.mcmc.transition import Kernel, transition
from toys.programs import data, generator

MIX = torch.tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [-0.3, 0.2, 10.0]], dtype=torch.float64)


def points(num_points: int, num_data: int = 2) -> Tensor:
    return data(num_points, num_data, 3) @ MIX.T + torch.arange(num_data)[:, None]


def covariance(scale: Tensor) -> Tensor:
    return scale @ scale.mT


def test_the_scale_of_many_points_is_the_cholesky_factor_of_their_covariance() -> None:
    x = points(20_000)
    scale = fit_scale(x, torch.full((2,), 2e4))
    for b in range(2):
        exact = torch.from_numpy(np.cov(x[:, b].T.numpy(), bias=True))
        eye = torch.diag(exact.diagonal().sqrt())
        shrunk = 0.999 * exact + 0.001 * eye @ eye  # the least shrinkage, a thousandth
        torch.testing.assert_close(covariance(scale[b]), shrunk, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(scale[b], torch.linalg.cholesky(shrunk))


@pytest.mark.parametrize("num_points", [6, 20, 100])
def test_shrinkage_is_the_oracle_approximating_one_on_standardised_points(num_points: int) -> None:
    x = points(num_points)
    scale = fit_scale(x, torch.full((2,), float(num_points)))
    n, p = num_points, 3
    for b in range(2):
        s = torch.corrcoef(x[:, b].T)
        squares, trace = (s @ s).trace(), s.trace()
        rho = ((1 - 2 / p) * squares + trace**2) / ((n + 1 - 2 / p) * (squares - trace**2 / p))
        shrunk = (1 - rho.clamp(max=1)) * s + rho.clamp(max=1) * torch.eye(p)
        sd = x[:, b].std(0, correction=0)
        torch.testing.assert_close(covariance(scale[b]), sd[:, None] * shrunk * sd, rtol=1e-9, atol=1e-9)


def test_shrinkage_is_scikit_learns_in_many_dimensions() -> None:
    """Which leaves out the terms 2 / D of equation 23."""
    x = data(150, 1, 90)
    x = x + 2 * x.roll(1, -1)
    sd = x[:, 0].std(0, correction=0)
    estimate = torch.from_numpy(OAS().fit(((x[:, 0] - x[:, 0].mean(0)) / sd).numpy()).covariance_)
    found = covariance(fit_scale(x, torch.tensor([150.0]))[0]) / sd / sd[:, None]
    torch.testing.assert_close(found, estimate, rtol=0, atol=2e-3)
    assert (estimate - torch.eye(90)).abs().max() > 0.1


def test_a_few_points_tell_no_correlations() -> None:
    x = points(50)
    scale = fit_scale(x, torch.tensor([3.0, 50.0]))
    torch.testing.assert_close(scale[0], torch.diag(x[:, 0].std(0, correction=0)))
    assert scale[1].tril(-1).abs().max() > 0.1
    more = fit_scale(x, torch.tensor([10.0, 100.0]))
    assert bool((_correlation(more) > _correlation(fit_scale(x, torch.tensor([5.0, 50.0])))).all())


def _correlation(scale: Tensor) -> Tensor:
    """Of the first two directions, `[B]`."""
    c = covariance(scale)
    return c[:, 0, 1] / (c[:, 0, 0] * c[:, 1, 1]).sqrt()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_directions_in_which_nothing_moves(dtype: torch.dtype) -> None:
    x = points(100).to(dtype)
    x[:, 0, 1] = 0.1  # constant, and its mean rounds
    x[:, 1] = 7.0
    scale = fit_scale(x, torch.full((2,), 100.0, dtype=dtype))
    assert scale.dtype == dtype and bool(scale.isfinite().all())
    assert bool((scale.diagonal(dim1=-2, dim2=-1) > 0).all())
    assert scale[0, 1, 0].abs() < 1e-6 and scale[0, 2, 1].abs() < 1e-5
    torch.testing.assert_close(scale[0, 0, 0], x[:, 0, 0].std(correction=0))
    u = data(4, 2, 3).to(dtype)
    torch.testing.assert_close(stretch(scale, whiten(scale, u)), u, rtol=1e-4, atol=1e-4)


def test_a_datum_is_scaled_by_itself() -> None:
    x = torch.cat([points(40), 1e6 * points(40)], 1)
    effective = torch.tensor([40.0, 5, 40, 2])
    whole = fit_scale(x, effective)
    for b in range(4):
        torch.testing.assert_close(fit_scale(x[:, [b]], effective[[b]])[0], whole[b])


def test_one_dimension_and_many_have_standard_deviations_alone() -> None:
    line, wide = data(30, 2, 1), data(30, 2, MAX_DENSE + 1)
    for x in (line, wide):
        torch.testing.assert_close(fit_scale(x, torch.full((2,), 30.0)), x.std(0, correction=0))
    assert fit_scale(data(30, 2, MAX_DENSE), torch.full((2,), 30.0)).dim() == 3


def test_units() -> None:
    dense = covariance(points(9, 2)[:3].permute(1, 2, 0)).add(torch.eye(3))
    dense = torch.linalg.cholesky(dense)
    u, g = data(4, 2, 3), data(4, 2, 3, seed=2)
    for scale in (dense, dense.diagonal(dim1=-2, dim2=-1)):
        torch.testing.assert_close(whiten(scale, stretch(scale, u)), u)
        torch.testing.assert_close((stretch(scale, u) * g).sum(-1), (u * pull(scale, g)).sum(-1))  # adjoint
        torch.testing.assert_close(size(scale), torch.linalg.det(dense) ** (1 / 3))
    torch.testing.assert_close(stretch(dense, u)[2, 1], dense[1] @ u[2, 1])


@pytest.mark.parametrize("ahead", [10.0, 2.0])
def test_dual_averaging_is_pyros(ahead: float) -> None:
    """The same acceptance probabilities give the same step sizes, chain by chain."""
    acceptance = torch.rand(60, 2, 3, generator=generator(), dtype=torch.float64)
    begin = torch.tensor([0.1, 0.5, 2.0]).expand(2, 3)
    state = DualAveraging.start(begin, ahead)
    peers = [[PyroDualAveraging(prox_center=math.log(ahead * float(begin[c, b]))) for b in range(3)] for c in range(2)]
    torch.testing.assert_close(state.step_size, begin)
    torch.testing.assert_close(state.frozen, begin)
    for probability in acceptance:
        state = state.update(probability, 0.8)
        for c, row in enumerate(peers):
            for b, peer in enumerate(row):
                peer.step(0.8 - float(probability[c, b]))
                now, average = peer.get_state()
                assert math.isclose(float(state.log_step[c, b]), now, rel_tol=1e-9, abs_tol=1e-9)
                assert math.isclose(float(state.log_average[c, b]), average, rel_tol=1e-9, abs_tol=1e-9)


def test_dual_averaging_finds_the_step_of_the_wanted_acceptance() -> None:
    state = DualAveraging.start(torch.tensor([[0.01, 30.0]]))
    for _ in range(400):
        state = state.update((-state.step_size).exp(), 0.7)
    torch.testing.assert_close(state.frozen, torch.full((1, 2), -math.log(0.7)), rtol=0.06, atol=0)


def test_halton() -> None:
    assert [halton(n) for n in range(7)] == [0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]
    numbers = sorted(halton(n) for n in range(1023))
    assert numbers == [(n + 1) / 1024 for n in range(1023)]  # each cell once


@pytest.mark.parametrize(("length", "grows"), [(0.2, True), (0.8, True), (2.6, False), (3.0, False)])
def test_trajectories_grow_when_too_short_and_shrink_when_too_long(length: float, grows: bool) -> None:
    """On a standard normal u′ = u cos t + v sin t: the change in squares is largest at a quarter turn."""
    chains, num_data, dim = 400, 3, 5

    def density(u: Tensor) -> tuple[Tensor, Tensor]:
        return -0.5 * u.square().sum(-1), -u

    chees = Chees.start(torch.full((num_data,), length))
    torch.testing.assert_close(chees.length, torch.full((num_data,), length))
    kernel = Kernel(torch.full((chains, num_data), 0.05), chees.length, torch.ones(num_data, dim), 200)
    point = evaluate(density, data(chains, num_data, dim, seed=1))
    r, uniform = data(chains, num_data, dim, seed=2), torch.zeros(chains, num_data)
    _, move = transition(density, point, kernel, r, uniform)
    bounds = torch.full((num_data,), 0.01), torch.full((num_data,), 100.0)
    new = chees.update(point.u, move, centre=point.u.mean(0), scale=kernel.scale, jitter=1.0, bounds=bounds)
    assert bool((new.length > length).all()) if grows else bool((new.length < length).all())
    # One step of Adam is its rate, whatever the gradient's size.
    torch.testing.assert_close((new.log_length - math.log(length)).abs(), torch.full((3,), 0.05), rtol=1e-6, atol=0)
    low = chees.update(
        point.u, move, centre=point.u.mean(0), scale=kernel.scale, jitter=1.0, bounds=(bounds[1], bounds[1])
    )
    torch.testing.assert_close(low.length, bounds[1])


def test_lengths_settle_where_squares_change_most_in_units_of_the_scale() -> None:
    """On normals measured by their scale, E_j sin²(j t) = ½ − sin(2t)/(4t) has its first maximum at t = 2.247."""
    chains, dim, scale = 100, 4, torch.tensor([[0.01] * 4, [100.0] * 4])

    def density(u: Tensor) -> tuple[Tensor, Tensor]:
        return -0.5 * (u / scale).square().sum(-1), -u / scale.square()

    chees, point = Chees.start(torch.tensor([0.3, 3.3])), evaluate(density, scale * data(chains, 2, dim))
    bounds, lengths = (torch.full((2,), 0.1), torch.full((2,), 20.0)), []
    for n in range(150):
        kernel = Kernel(torch.full((chains, 2), 0.2), chees.length, scale, 100)
        before, jitter = point.u, halton(n)
        uniform = torch.rand(chains, 2, generator=generator(n))
        point, move = transition(density, point, kernel, data(chains, 2, dim, seed=n + 9), uniform, jitter)
        chees = chees.update(before, move, centre=before.mean(0), scale=scale, jitter=jitter, bounds=bounds)
        lengths.append(chees.length)
    late = torch.stack(lengths[75:]).mean(0)
    assert bool(((late > 1.8) & (late < 2.8)).all())


def test_gradient_of_the_length_is_measured_in_units_of_the_scale() -> None:
    chains, scale = 6, torch.linalg.cholesky(MIX @ MIX.T).expand(2, 3, 3)

    def density(u: Tensor) -> tuple[Tensor, Tensor]:
        return -0.5 * u.square().sum(-1), -u

    point = evaluate(density, data(chains, 2, 3))
    kernel = Kernel(torch.full((chains, 2), 0.02), torch.full((2,), 0.7), scale, 99)
    _, move = transition(density, point, kernel, data(chains, 2, 3, seed=2), torch.zeros(chains, 2), 0.5)
    centre, bounds = point.u.mean(0), (torch.full((2,), 0.01), torch.full((2,), 9.0))
    found = Chees.start(kernel.length).update(point.u, move, centre=centre, scale=scale, jitter=0.5, bounds=bounds)
    inverse = torch.linalg.inv(scale[0])
    for b in range(2):
        start, end = (point.u[:, b] - centre[b]) @ inverse.T, (move.proposal.u[:, b] - centre[b]) @ inverse.T
        slope = 0.5 * (end.square().sum(1) - start.square().sum(1)) * (end * move.velocity[:, b]).sum(1)
        mean = (move.acceptance[:, b] * slope).sum() / move.acceptance[:, b].sum()
        torch.testing.assert_close(found.first[b], 0.2 * mean * 0.7)  # Adam's first memory; 0.7 for the logarithm


def test_chains_that_diverge_teach_nothing() -> None:
    def density(u: Tensor) -> tuple[Tensor, Tensor]:
        return -0.5 * u.square().sum(-1), -u

    point = evaluate(density, data(8, 2, 3))
    steps = torch.full((8, 2), 0.1)
    steps[3] = 50.0
    kernel = Kernel(steps, torch.full((2,), 0.5), torch.ones(2, 3), 60)
    _, move = transition(density, point, kernel, data(8, 2, 3, seed=2), torch.zeros(8, 2))
    bounds = torch.full((2,), 1e-3), torch.full((2,), 1e3)
    rest = torch.tensor([0, 1, 2, 4, 5, 6, 7])
    centre = point.u.mean(0)
    chees = Chees.start(torch.full((2,), 0.5)).update(
        point.u, move, centre=centre, scale=kernel.scale, jitter=1.0, bounds=bounds
    )
    fewer = Kernel(steps[rest], kernel.length, kernel.scale, 60)
    start = evaluate(density, point.u[rest])
    _, calm = transition(density, start, fewer, data(8, 2, 3, seed=2)[rest], torch.zeros(7, 2))
    alone = Chees.start(torch.full((2,), 0.5)).update(
        start.u, calm, centre=centre, scale=fewer.scale, jitter=1.0, bounds=bounds
    )
    torch.testing.assert_close(chees.first, alone.first)
    broken = Chees.start(torch.full((2,), 0.5))
    nothing = Kernel(torch.full((8, 2), 500.0), torch.full((2,), 0.5), torch.ones(2, 3), 60)
    _, wild = transition(density, point, nothing, data(8, 2, 3, seed=2), torch.zeros(8, 2))
    torch.testing.assert_close(
        broken.update(point.u, wild, centre=centre, scale=kernel.scale, jitter=1.0, bounds=bounds).length, broken.length
    )
