"""The linear dynamical system: its filter against a dense normal, quadrature and sampling; the simulated data."""

import math

import pytest
import torch

from elbowroom.datasets import KINDS, load
from elbowroom.datasets.linear_system import SYSTEM
from elbowroom.guides import DeepKalmanSmoother
from elbowroom.inference import Target, bracket, fit, importance, quadrature
from elbowroom.models import LinearDynamicalSystem
from toys.failure_budget import sigmas
from toys.sequences import dense_log_prob, moved, padded

P, D, T = 3, 2, 6
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 1, 0, 1], [0, 0, 1, 1, 0, 0]]).bool()


def test_the_filter_is_a_dense_normal() -> None:
    model, x = moved(LinearDynamicalSystem(P, D, sigma=0.6)), torch.randn(4, T, P)
    expected = torch.stack([dense_log_prob(model, *sequence) for sequence in zip(x, MASK, strict=True)])
    torch.testing.assert_close(model.log_prob(x, MASK), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.log_prob(x[:1]), expected[:1], rtol=1e-10, atol=1e-10)
    longer = padded(x, MASK, 3, torch.nan)
    torch.testing.assert_close(model.log_prob(*longer), expected, rtol=1e-10, atol=1e-10)
    gradients = torch.autograd.grad(model.log_prob(*longer).sum(), list(model.parameters()))
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in gradients)


def test_a_nearly_exact_observation_of_many_values_loses_no_digits() -> None:
    """Σ of 40 values has a condition number of 1e7 there; the filter never makes it."""
    model, x = moved(LinearDynamicalSystem(40, 1, sigma=0.01)), torch.randn(2, 3, 40)
    with torch.no_grad():
        model.likelihood.log_above_floor.fill_(math.log(1e-4))
    mask = torch.ones(2, 3).bool()
    expected = torch.stack([dense_log_prob(model, *sequence) for sequence in zip(x, mask, strict=True)])
    torch.testing.assert_close(model.log_prob(x, mask), expected, rtol=1e-8, atol=0.0)


@pytest.mark.slow
def test_quadrature_and_importance_sampling_find_the_filters_value() -> None:
    model = moved(LinearDynamicalSystem(2, 1, sigma=0.6))
    guide, x, mask = DeepKalmanSmoother(model, 8), torch.randn(5, 3, 2), MASK[[0, 0, 1, 2, 3], :3]
    exact = model.log_prob(x, mask)
    torch.testing.assert_close(quadrature(Target(model, guide, x, mask)).value, exact, rtol=1e-6, atol=1e-6)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    model.requires_grad_(False)
    fit(model, guide, (x, mask), num_epochs=150, learning_rate=0.03, progress=False)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))
    sampled = importance(Target(model, guide, x, mask), num_samples=4000, seed=0)
    assert ((sampled.value - exact).abs() < sigmas(5) * sampled.stderr + 1e-6).all()
    assert sum(map(bool, sampled.flags)) <= 1 and (sampled.info["elbo"] < exact).all()


@pytest.mark.slow
def test_brackets_hold_the_filters_value() -> None:
    model = moved(LinearDynamicalSystem(2, 1, sigma=0.6)).requires_grad_(False)
    guide, x, mask = DeepKalmanSmoother(model, 8), torch.randn(3, 4, 2), MASK[[0, 1, 2], :4]
    fit(model, guide, (x, mask), num_epochs=150, learning_rate=0.03, progress=False)
    found = bracket(Target(model, guide, x, mask), budget="2e5 evaluations", progress=False)
    exact = model.log_prob(x, mask)
    assert found.upper.value.isfinite().all()
    assert (found.lower.value - exact < sigmas(6) * found.lower.stderr + 1e-6).all()
    assert (exact - found.upper.value < sigmas(6) * found.upper.stderr + 1e-6).all()


def test_the_simulated_data_are_draws_of_the_system_they_name() -> None:
    """−2 log p(x) − log |2π Σ| of a draw is a sum of squares of as many normals as there are numbers."""
    model = LinearDynamicalSystem.of_parameters(
        *(torch.as_tensor(value) for value in SYSTEM[:3]), sigma=SYSTEM.sigma
    )  # fmt: skip
    x, mask = KINDS["sequence"].arguments(load("linear-system"), "train")
    x = x.double()
    found = model.log_prob(x, mask).detach()
    at_zero = {length: model.log_prob(torch.zeros(1, length, 4)).item() for length in range(4, 13)}  # −½ log |2π Σ|
    lengths = mask.sum(1)
    squares = 2 * (torch.tensor([at_zero[n] for n in lengths.tolist()]) - found)
    count = 4 * lengths.sum().item()
    assert abs(squares.sum().item() - count) < sigmas(2) * (2 * count) ** 0.5
    pulled = moved(model, 0.1).log_prob(x, mask)  # and no other system explains them as well
    assert (found - pulled).mean() > sigmas(2) * (found - pulled).std() / len(x) ** 0.5


def test_a_system_of_no_noise_is_refused() -> None:
    with pytest.raises(ValueError, match=r"transition_std must be a number above 0.001 and finite, got 0.0"):
        LinearDynamicalSystem.of_parameters(torch.eye(2), torch.tensor([0.0, 1.0]), torch.ones(3, 2), sigma=1.0)
