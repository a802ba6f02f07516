"""Transforms without an inverse: a density that is known at its own draws is right there, and unknown elsewhere."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import transforms
from torch import Tensor

from elbowroom.inference import Target, anneal, bracket, importance
from toys.failure_budget import sigmas

TRANSFORMS: dict[str, Callable[[], Any]] = {
    "Planar": lambda: transforms.Planar(2),
    "Radial": lambda: transforms.Radial(2),
    "Sylvester": lambda: transforms.Sylvester(2, count_transforms=2),
    "Polynomial": lambda: transforms.polynomial(2, hidden_dims=[4]),
    "BlockAutoregressive": lambda: transforms.block_autoregressive(2, hidden_factors=[2], residual="normal"),
    "NeuralAutoregressive": lambda: transforms.neural_autoregressive(2, hidden_dims=[4], width=3),
    "Planar, of data": lambda: transforms.conditional_planar(2, 2, hidden_dims=[4]),
}


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)


def target(name: str, num_data: int = 4) -> Target:
    pyro.set_rng_seed(0)
    step = TRANSFORMS[name]()

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            part = step.condition(x) if "of data" in name else step
            pyro.sample("z", dist.TransformedDistribution(dist.Normal(x / 2, 0.9).to_event(1), [part]))

    return Target(model, guide, torch.randn(num_data, 2, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_known_at_its_own_draws(name: str) -> None:
    problem = target(name)
    found = importance(problem, num_samples=4000, search=False)
    truth = dist.Normal(0.0, 2**0.5).log_prob(problem.data[0]).sum(-1)
    sound = torch.tensor([not flag for flag in found.flags])
    assert bool(sound.any())
    room = sigmas(len(truth) * len(TRANSFORMS)) * found.stderr
    assert bool(((found.value - truth).abs() <= room)[sound].all())


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_unknown_elsewhere(name: str) -> None:
    problem = target(name)
    why = problem.why_no_density()
    assert f"site 'z' is drawn through {name.split(',')[0]}, which has no inverse" in why and "own draws only" in why
    with pytest.raises(NotImplementedError, match="has no inverse"):
        problem.log_guide(problem.propose(2)[0])


def test_what_needs_it_refuses_and_the_rest_works() -> None:
    problem = target("Planar, of data", 2)
    with pytest.raises(ValueError, match="has no inverse"):
        anneal(problem, start="guide")
    found = bracket(problem, budget=20)
    truth = dist.Normal(0.0, 2**0.5).log_prob(problem.data[0]).sum(-1)
    assert bool(found.settled.all())
    torch.testing.assert_close(found.lower.value, truth, atol=1e-3, rtol=0.0)
