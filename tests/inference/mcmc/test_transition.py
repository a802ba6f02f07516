"""One transition leaves its target exactly as it is, whatever the step size, and never enters where p is zero."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from elbowroom.inference.mcmc.leapfrog import evaluate, integrate, kinetic
from elbowroom.inference.mcmc.transition import DIVERGENCE, Kernel, transition
from toys.failure_budget import BUDGET, sigmas
from toys.programs import data, generator

SD = torch.tensor([0.3, 1.0, 2.5], dtype=torch.float64)  # of each datum
MANY = 40_000


def normal(u: Tensor) -> tuple[Tensor, Tensor]:
    """N(0, SD²) for each of three data, any dimension; not normalised."""
    x = u / SD[:, None].to(u)
    return -0.5 * x.square().sum(-1), -x / SD[:, None].to(u)


def kernel(step: float, length: float, scale: float = 1.0, chains: int = MANY, max_steps: int = 64) -> Kernel:
    return Kernel(torch.full((chains, 3), step), torch.full((3,), length), torch.full((3, 1), scale), max_steps)


def uniforms(*shape: int, seed: int) -> Tensor:
    return torch.rand(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize(("step", "length"), [(0.55, 0.5), (0.58, 1.7), (2.2, 4.0)])
def test_chains_that_start_in_the_target_stay_in_it(step: float, length: float) -> None:
    """Stability ends at ε = 2 sd: here acceptance is far from one for some datum, so a wrong rule would show."""
    point = evaluate(normal, SD[:, None] * data(MANY, 3, 1, seed=11))
    acceptance = []
    for n in range(4):
        r, uniform = data(MANY, 3, 1, seed=20 + n), uniforms(MANY, 3, seed=30 + n)
        point, move = transition(normal, point, kernel(step, length), r, uniform, jitter=1 - 0.2 * n)
        acceptance.append(move.acceptance.mean(0))
    assert torch.stack(acceptance).min() < 0.9 and torch.stack(acceptance).max() > 0.3
    for b in range(3):
        pvalue = stats.kstest((point.u[:, b, 0] / SD[b]).numpy(), "norm").pvalue
        assert pvalue > BUDGET / 3
    # Energy, too: a bias of acceptance shows in the variance before it shows in the distribution's middle.
    spread = ((point.u[..., 0] / SD).square().mean(0) - 1) / math.sqrt(2 / MANY)
    assert spread.abs().max() < sigmas(3)


def test_detailed_balance_of_a_flux() -> None:
    """Of chains in the target, as many go from left of −½ sd to right of ½ sd as come back."""
    start = evaluate(normal, SD[:, None] * data(MANY, 3, 1, seed=1))
    end, _ = transition(normal, start, kernel(0.55, 2.2), data(MANY, 3, 1, seed=2), uniforms(MANY, 3, seed=3))
    before, after = start.u[..., 0] / SD, end.u[..., 0] / SD
    there, back = ((before < -0.5) & (after > 0.5)).sum(0), ((before > 0.5) & (after < -0.5)).sum(0)
    assert bool((there > 100).all())
    assert ((there - back) / (there + back).sqrt()).abs().max() < sigmas(3)


def test_numbers_of_a_move() -> None:
    chains = 50
    point = evaluate(normal, SD[:, None] * data(chains, 3, 1, seed=1))
    r, uniform, k = data(chains, 3, 1, seed=2), uniforms(chains, 3, seed=3), kernel(0.58, 2.0, chains=chains)
    new, move = transition(normal, point, k, r, uniform, jitter=0.6)
    assert bool((move.num_steps == 3).all())  # ⌈0.6 · 2 / 0.58⌉
    end, last = integrate(normal, point, r, k.step_size, move.num_steps, k.scale)
    change = kinetic(last) - end.log_p - kinetic(r) + point.log_p
    torch.testing.assert_close(move.acceptance, (-change).exp().clamp(max=1))
    assert torch.equal(move.accepted, uniform < move.acceptance)
    torch.testing.assert_close(new.u, torch.where(move.accepted[..., None], end.u, point.u))
    for found, expected in zip((new.log_p, new.gradient), normal(new.u), strict=True):
        torch.testing.assert_close(found, expected)  # neither is left behind, whether accepted or not
    assert torch.equal(move.proposal.u, end.u) and torch.equal(move.velocity, last)
    assert 0.5 < move.accepted.double().mean() < 1


@pytest.mark.parametrize("bad", [math.nan, -math.inf, math.inf])
def test_points_of_no_probability_are_never_entered(bad: float) -> None:
    """A half line: the restriction of a normal to u > 0 stays what it is."""

    def half(u: Tensor) -> tuple[Tensor, Tensor]:
        log_p, gradient = normal(u)
        out = u[..., 0] <= 0
        return torch.where(out, bad, log_p), torch.where(out.unsqueeze(-1), bad, gradient)

    point = evaluate(half, SD[:, None] * data(MANY, 3, 1, seed=1).abs())
    met = torch.zeros(3, dtype=torch.bool)
    for n in range(3):
        r, uniform = data(MANY, 3, 1, seed=2 + n), uniforms(MANY, 3, seed=9 + n)
        point, move = transition(half, point, kernel(0.4, 0.9), r, uniform)
        out = move.proposal.u[..., 0] <= 0
        met |= out.any(0)
        assert not bool((out & move.accepted).any())
        assert bool((move.acceptance[out] == 0).all()) and bool(move.diverging[out].all())
        assert bool((point.u > 0).all()) and bool(point.log_p.isfinite().all())
    assert bool(met.all())
    for b in range(3):
        assert stats.kstest((point.u[:, b, 0] / SD[b]).numpy(), "halfnorm").pvalue > BUDGET / 3


def test_a_chain_outside_the_support_comes_in_at_once() -> None:
    def half(u: Tensor) -> tuple[Tensor, Tensor]:
        log_p, gradient = normal(u)
        return torch.where(u[..., 0] <= 0, -math.inf, log_p), gradient

    chains = 200
    point = evaluate(half, -0.1 * torch.ones(chains, 3, 1))
    new, move = transition(
        half, point, kernel(0.5, 0.5, chains=chains), data(chains, 3, 1), torch.full((chains, 3), 0.999)
    )
    inside = move.proposal.u[..., 0] > 0
    assert torch.equal(move.accepted, inside) and bool(inside.any()) and not bool(inside.all())
    assert bool((new.log_p[inside] == normal(new.u)[0][inside]).all())
    assert not bool(move.diverging[inside].any())


def test_divergence_is_a_rise_of_more_than_a_thousand_nats() -> None:
    chains = 2000
    point = evaluate(normal, SD[:, None] * data(chains, 3, 1, seed=1))
    for step in (0.5, 2.0, 12.0, 40.0):
        k = kernel(step, 3 * step, chains=chains)
        _, move = transition(normal, point, k, data(chains, 3, 1, seed=2), uniforms(chains, 3, seed=3))
        end, last = integrate(normal, point, data(chains, 3, 1, seed=2), k.step_size, move.num_steps, k.scale)
        change = kinetic(last) - end.log_p - kinetic(data(chains, 3, 1, seed=2)) + point.log_p
        assert torch.equal(move.diverging, ~(change <= DIVERGENCE))
        assert not bool((move.diverging & move.accepted).any())
        assert bool(move.diverging.any()) == (step > 0.5)
        assert bool((move.acceptance[change == -math.inf] == 1).all())


def test_number_of_steps() -> None:
    k = Kernel(torch.tensor([[0.3, 0.5, 0.1, torch.inf]]), torch.tensor([1.0, 1.0, 99.0, 1.0]), torch.ones(4, 1), 20)
    assert k.num_steps(1.0).tolist() == [[4, 2, 20, 1]]
    assert k.num_steps(0.01).tolist() == [[1, 1, 10, 1]]
    each = Kernel(k.step_size, k.length, k.scale, torch.tensor([2, 1, 5, 9]))
    assert each.num_steps(1.0).tolist() == [[2, 1, 5, 1]]
    assert each.select(torch.tensor([2, 0])).num_steps(1.0).tolist() == [[5, 2]]
    assert k.select(torch.tensor([2, 0])).num_steps(1.0).tolist() == [[20, 4]]


def test_float32() -> None:
    chains = 500
    point = evaluate(normal, (SD[:, None] * data(chains, 3, 1)).float())
    k = Kernel(torch.full((chains, 3), 0.3).float(), torch.ones(3), torch.ones(3, 1).float())
    new, move = transition(normal, point, k, data(chains, 3, 1, seed=2).float(), uniforms(chains, 3, seed=3))
    assert new.u.dtype == new.log_p.dtype == new.gradient.dtype == move.acceptance.dtype == torch.float32
    assert 0.3 < move.accepted.double().mean() <= 1
