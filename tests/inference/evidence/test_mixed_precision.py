"""A guide of single precision and a prior, or data, of double precision: every estimator answers."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, anneal, bridge, hmc, importance

X = torch.tensor([0.0, 0.5, -1.0], dtype=torch.float64)


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(x.float() / 2, torch.tensor(0.8, dtype=torch.float32)))


def target(dtype: torch.dtype) -> Target:
    """Data of float64, a guide of float32, a prior of either."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros((), dtype=dtype), torch.ones((), dtype=dtype)))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    return Target(model, guide, X)


TRUTH = dist.Normal(torch.zeros(3, dtype=torch.float64), math.sqrt(2)).log_prob(X)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "call",
    [
        lambda t: importance(t, search=True),
        pytest.param(lambda t: anneal(t, num_steps=20, search=False), marks=pytest.mark.slow),
        pytest.param(lambda t: anneal(t, num_steps=20, start="prior", search=False), marks=pytest.mark.slow),
        pytest.param(lambda t: bridge(t, hmc(t, num_warmup=50, num_draws=100)), marks=pytest.mark.slow),
    ],
    ids=["importance", "anneal", "anneal from the prior", "bridge"],
)
def test_the_evidence(call, dtype: torch.dtype) -> None:  # type: ignore[no-untyped-def]
    found = call(target(dtype))
    assert ((found.value - TRUTH).abs() < 5 * found.stderr + 1e-5).all()


def test_draws_of_the_prior_have_the_latents_dtype() -> None:
    assert target(torch.float64).sample_prior(2)["z"].dtype == torch.float32
