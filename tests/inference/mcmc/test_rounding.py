"""A last digit that differs ends on the grid: chains are the same on processors that round otherwise."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, hmc
from elbowroom.inference.mcmc import rounding
from elbowroom.inference.mcmc.metric import deviations, fit_scale, rounded
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.rounding import BITS, on_grid
from elbowroom.models import VAE
from toys.programs import data

numbers = st.floats(-1e6, 1e6)
units = st.floats(1e-6, 1e6)


@given(numbers, units)
def test_a_number_moves_by_a_millionth_of_its_unit_at_most(number: float, unit: float) -> None:
    rounded = on_grid(torch.tensor(number), unit).item()
    assert abs(rounded - number) <= unit * 2.0 ** -(BITS + 1)
    assert on_grid(torch.tensor(rounded), unit).item() == rounded
    _, exponent = math.frexp(unit)
    steps = math.ldexp(rounded, BITS + 1 - exponent)  # of the power of two at or below the unit
    assert steps == round(steps)


def test_a_grid_is_that_of_the_units_power_of_two() -> None:
    """Units that differ in their last digits have one grid; the first and the last of a long row have it too."""
    x, unit = data(1003), torch.full((1003,), 0.3)
    on = on_grid(x, unit)
    assert torch.equal(on, on_grid(x + 1e-14, unit * (1 + 1e-14)))
    assert torch.equal(on, torch.stack([on_grid(one, 0.3) for one in x]))
    steps = on * 2.0 ** (BITS + 2)
    assert torch.equal(steps, steps.round())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_has_no_such_digits_stays(dtype: torch.dtype) -> None:
    odd = torch.tensor([math.inf, -math.inf, math.nan, 1e30, 0.0], dtype=dtype)
    torch.testing.assert_close(on_grid(odd), odd, rtol=0, atol=0, equal_nan=True)
    for unit in (0.0, math.inf, math.nan, torch.finfo(dtype).tiny):
        x = torch.tensor([0.3, -1e5], dtype=dtype)
        assert torch.equal(on_grid(x, torch.tensor(unit, dtype=dtype)), x)
    assert on_grid(odd).dtype == dtype


@pytest.mark.parametrize("dim", [1, 4])
def test_what_is_fitted_does_not_tell_points_apart_that_differ_in_their_last_digits(dim: int) -> None:
    points = 3 + data(512, 5, dim).cumsum(-1)
    shaken = points * (1 + 1e-15 * data(512, 5, dim, seed=1))
    assert not torch.equal(points, shaken)
    one, other = Mixture.fit(points), Mixture.fit(shaken)
    assert torch.equal(one.mean, other.mean) and torch.equal(one.factor, other.factor)
    effective = torch.full((5,), 100.0)
    scale, same = (rounded(fit_scale(each, effective)) for each in (points, shaken))
    assert torch.equal(scale, same)
    torch.testing.assert_close(deviations(scale), points.std(0, correction=0), rtol=1e-5, atol=0)


def vae(shake: float) -> Target:
    """A VAE whose weights are a little off: what another processor's products are like."""
    torch.manual_seed(0)
    model, guide = VAE(16, 4, (16,)), AmortizedNormal(16, 4, (16,))
    with torch.no_grad():
        for n, weight in enumerate(model.parameters()):
            weight.mul_(3 * (1 + shake * data(weight.numel(), seed=n).reshape(weight.shape)))
    return Target(model, guide, (data(6, 16) > 0).double())


@pytest.mark.slow
@pytest.mark.parametrize("jumps", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_chains_do_not_carry_a_last_digit_on(jumps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm-up makes of 1e-16 what its last transition does, instead of what all of them do."""

    def apart(num_draws: int = 20) -> Tensor:
        one, other = (hmc(vae(shake), num_draws=num_draws, seed=1, jumps=jumps) for shake in (0.0, 1e-15))
        assert not torch.equal(one.stats["lp"], other.stats["lp"])
        return (one.flat - other.flat).abs().max()

    assert apart() < 1e-10
    monkeypatch.setattr(rounding, "BITS", 60)
    assert apart() > 1e-8  # without a grid
