"""Trajectories: reversible, of second order, volume preserving, and each chain's own."""

import math

import pytest
import torch
from torch import Tensor

from elbowroom.inference.mcmc.leapfrog import Density, Point, evaluate, integrate, kinetic
from elbowroom.inference.mcmc.metric import pull, stretch, whiten
from toys.programs import data

CHAINS, DATA, DIM = 3, 4, 2


def banana(u: Tensor) -> tuple[Tensor, Tensor]:
    """log p = −½ u₀² − ½ (u₁ − u₀²)² − ¼ u₁⁴, and its gradient by hand."""
    a, b = u[..., 0], u[..., 1]
    lag = b - a.square()
    log_p = -0.5 * a.square() - 0.5 * lag.square() - 0.25 * b**4
    return log_p, torch.stack([-a + 2 * a * lag, -lag - b**3], -1)


def scales(kind: str) -> Tensor:
    sd = 0.5 + data(DATA, DIM, seed=5).abs()
    return sd if kind == "diagonal" else torch.diag_embed(sd) + data(DATA, DIM, DIM, seed=6).tril(-1)


def begin(density: Density = banana) -> tuple[Point, Tensor, Tensor, Tensor]:
    """A point, a momentum, step sizes and numbers of steps that differ from chain to chain."""
    steps = torch.arange(CHAINS * DATA).reshape(CHAINS, DATA) % 7 + 1
    return evaluate(density, data(CHAINS, DATA, DIM)), data(CHAINS, DATA, DIM, seed=2), 0.05 + 0.01 * steps, steps


def test_gradient_of_the_problem() -> None:
    u = data(5, 1, DIM).requires_grad_(True)
    log_p, gradient = banana(u)
    torch.testing.assert_close(torch.autograd.grad(log_p.sum(), u)[0], gradient)


@pytest.mark.parametrize("kind", ["diagonal", "dense"])
def test_reversible(kind: str) -> None:
    start, r, step, steps = begin()
    end, last = integrate(banana, start, r, step, steps, scales(kind))
    back, first = integrate(banana, end, -last, step, steps, scales(kind))
    torch.testing.assert_close(back.u, start.u, rtol=0, atol=1e-13)
    torch.testing.assert_close(first, -r, rtol=0, atol=1e-13)
    torch.testing.assert_close(back.log_p, start.log_p, rtol=0, atol=1e-12)
    assert (end.u - start.u).abs().min() > 1e-3  # it has moved at all


@pytest.mark.parametrize("kind", ["diagonal", "dense"])
def test_energy_error_is_of_second_order(kind: str) -> None:
    start, r, _, _ = begin()
    whole, errors = 0.8, []
    sizes = torch.tensor([0.04, 0.02, 0.01, 0.005])
    for size in sizes:
        step = torch.full((CHAINS, DATA), float(size))
        steps = torch.full((CHAINS, DATA), round(whole / float(size)))
        end, last = integrate(banana, start, r, step, steps, scales(kind))
        errors.append((kinetic(last) - end.log_p - kinetic(r) + start.log_p).abs())
    slopes = (torch.stack(errors[:-1]).log() - torch.stack(errors[1:]).log()) / math.log(2)
    torch.testing.assert_close(slopes[-1].median(), torch.tensor(2.0), rtol=0, atol=0.02)
    assert errors[-1].max() < 0.01


@pytest.mark.parametrize("kind", ["diagonal", "dense"])
def test_volume_is_preserved(kind: str) -> None:
    scale = scales(kind)

    def flow(state: Tensor) -> Tensor:
        """(u, r) of one chain of every datum, `[2 B D]`."""
        u, r = state.reshape(2, 1, DATA, DIM)
        step, steps = torch.full((1, DATA), 0.3), torch.tensor([[1, 2, 3, 4]])
        end, last = integrate(banana, evaluate(banana, u), r, step, steps, scale)
        return torch.stack([end.u, last]).flatten()

    jacobian = torch.autograd.functional.jacobian(flow, data(2 * DATA * DIM))
    assert isinstance(jacobian, Tensor)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], torch.tensor(0.0), rtol=0, atol=1e-11)
    by_datum = jacobian.reshape(2, DATA, DIM, 2, DATA, DIM).permute(1, 0, 2, 4, 3, 5)  # [to datum, …, from datum, …]
    for b in range(DATA):
        own = by_datum[b, :, :, b].reshape(2 * DIM, 2 * DIM)
        torch.testing.assert_close(torch.linalg.slogdet(own)[1], torch.tensor(0.0), rtol=0, atol=1e-11)
        others = [other for other in range(DATA) if other != b]
        assert not by_datum[b, :, :, others].any()


@pytest.mark.parametrize("kind", ["diagonal", "dense"])
def test_a_chain_does_not_depend_on_how_far_others_go(kind: str) -> None:
    start, r, step, steps = begin()
    scale = scales(kind)
    end, last = integrate(banana, start, r, step, steps, scale)
    for c in range(CHAINS):
        for b in range(DATA):
            one = Point(start.u[c, b][None, None], start.log_p[c, b][None, None], start.gradient[c, b][None, None])
            alone, momentum = integrate(
                banana, one, r[c, b][None, None], step[c, b][None, None], steps[c, b][None, None], scale[b : b + 1]
            )
            for found, expected in zip(
                (end.u, end.log_p, end.gradient, last), (alone.u, alone.log_p, alone.gradient, momentum), strict=True
            ):
                torch.testing.assert_close(found[c, b], expected[0, 0], rtol=1e-13, atol=1e-14)


def test_point_holds_the_density_and_gradient_of_where_it_is() -> None:
    start, r, step, steps = begin()
    end, _ = integrate(banana, start, r, step, steps, scales("dense"))
    log_p, gradient = banana(end.u)
    assert torch.equal(end.log_p, log_p) and torch.equal(end.gradient, gradient)


def test_one_step_by_hand() -> None:
    start, r, step, _ = begin()
    scale, e = scales("diagonal"), step.unsqueeze(-1)
    end, last = integrate(banana, start, r, step, torch.ones(CHAINS, DATA, dtype=torch.long), scale)
    half = r + 0.5 * e * scale * start.gradient
    torch.testing.assert_close(end.u, start.u + e * scale * half)
    torch.testing.assert_close(last, half + 0.5 * e * scale * banana(end.u)[1])


def test_a_diagonal_factor_is_the_same_as_standard_deviations() -> None:
    start, r, step, steps = begin()
    sd = scales("diagonal")
    for plain, dense in zip(
        integrate(banana, start, r, step, steps, sd),
        integrate(banana, start, r, step, steps, torch.diag_embed(sd)),
        strict=True,
    ):
        plain, dense = (x.u if isinstance(x, Point) else x for x in (plain, dense))
        torch.testing.assert_close(plain, dense, rtol=1e-12, atol=1e-12)


def test_a_scale_is_a_change_of_variables() -> None:
    """u = L v: the trajectory of p(u) measured in L is that of p(L v) measured in ones."""
    start, r, step, steps = begin()
    scale = scales("dense")

    def in_v(v: Tensor) -> tuple[Tensor, Tensor]:
        log_p, gradient = banana(stretch(scale, v))
        return log_p, pull(scale, gradient)

    end, last = integrate(banana, start, r, step, steps, scale)
    other, momentum = integrate(in_v, evaluate(in_v, whiten(scale, start.u)), r, step, steps, torch.ones(DATA, DIM))
    torch.testing.assert_close(stretch(scale, other.u), end.u, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(momentum, last, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_has_no_probability_and_gives_no_kick(bad: float) -> None:
    def density(u: Tensor) -> tuple[Tensor, Tensor]:
        log_p, gradient = banana(u)
        wrong = u[..., 0] > 0
        return torch.where(wrong, bad, log_p), torch.where(wrong.unsqueeze(-1), bad, gradient)

    u = data(CHAINS, DATA, DIM)
    point = evaluate(density, u)
    wrong = u[..., 0] > 0
    assert bool((point.log_p[wrong] == -math.inf).all()) and bool((point.gradient[wrong] == 0).all())
    assert torch.equal(point.log_p[~wrong], banana(u)[0][~wrong])
