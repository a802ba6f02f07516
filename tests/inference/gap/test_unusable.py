"""Draws of a guide where p(x, z) is zero, or is not a number: said, left out, and refined all the same."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, decompose
from toys.selections import rest_slow

OFF = 2.0
"""How far the guide lies off for the one datum whose draws meet the forbidden region."""


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(torch.where(x == OFF, -1.0, x / 2), 0.7))


def model_with(forbidden: float):
    """z ~ N(0, 1), x | z ~ N(z, 1) with a log density of `forbidden` for z below −2.5 and x = 2."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)
            pyro.factor("wall", torch.where((z < -2.5) & (x == OFF), forbidden, 0.0))

    return model


@pytest.mark.parametrize("forbidden", rest_slow([math.nan, -math.inf], 1))
def test_an_elbo_of_minus_infinity_is_told_and_left_out_of_means(forbidden: float) -> None:
    x = torch.tensor([-1.0, 0.5, OFF, 1.0])
    found = decompose(Target(model_with(forbidden), guide, x))
    plain = decompose(Target(model_with(0.0), guide, x))
    assert found.elbo.value[2] == -math.inf
    assert "the ELBO is −∞" in found.flags[2] and not any(found.flags[b] for b in (0, 1, 3))
    assert found.usable.tolist() == [True, True, False, True]
    torch.testing.assert_close(found.elbo.value[[0, 1, 3]], plain.elbo.value[[0, 1, 3]], atol=1e-9, rtol=0)
    # Refined, it is answered: the wall is five sds away from the posterior N(1, ½), two from the guide.
    assert found.ladder["full covariance"].value[2] == pytest.approx(float(found.log_p.value[2]), abs=0.02)
    assert bool((found.ladder["mean-field"].value > -10).all())
