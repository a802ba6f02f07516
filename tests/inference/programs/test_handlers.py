"""Messengers by themselves: scales set or multiplied, subsamples pinned, values set in either coordinates."""

import math
from typing import Any, ClassVar

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.programs.handlers import Pin, Set, SetUnconstrained, Weigh
from toys.programs import conjugate, data, normal, normal_model


def scaled_model(x: Tensor) -> None:
    with pyro.plate("data", 100, subsample_size=len(x)), poutine.scale(scale=0.5):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


@pytest.mark.parametrize("replace", [True, False])
def test_scales_of_latent_and_observed_sites(replace: bool) -> None:
    """5 of 100 data and a scale of 1/2 make 10; `replace` puts the given scales in its place, else they multiply it."""
    with Weigh(latent=0.3, observed=2.0, replace=replace):
        trace = poutine.trace(scaled_model).get_trace(data(5))
    trace.compute_log_prob()
    factor = 1.0 if replace else 10.0
    assert trace.nodes["z"]["scale"] == pytest.approx(0.3 * factor)
    assert trace.nodes["x"]["scale"] == pytest.approx(2.0 * factor)
    z, x = trace.nodes["z"]["value"], data(5)
    expected = factor * (0.3 * normal(0.0, 1.0, z).sum() + 2.0 * normal(z, 1.0, x).sum())
    torch.testing.assert_close(trace.log_prob_sum(), expected)


def test_a_targets_programs_are_unscaled_and_closed() -> None:
    """What Pyro's own samplers are given: no arguments, no scales."""
    x = data(5)
    target = Target(scaled_model, conjugate().guide, x)
    trace = poutine.trace(target.program("model")).get_trace()
    z = trace.nodes["z"]["value"]
    torch.testing.assert_close(trace.log_prob_sum(), (normal(0.0, 1.0, z) + normal(z, 1.0, x)).sum())
    guide = poutine.trace(target.program("guide")).get_trace()
    q = normal(x / 2, 0.8 * math.sqrt(0.5), guide.nodes["z"]["value"])
    torch.testing.assert_close(guide.log_prob_sum(), q.sum())


def test_pinned_subsamples() -> None:
    def rows() -> Tensor:
        with pyro.plate("data", 50, subsample_size=4) as index:
            return index

    chosen = torch.tensor([3, 1, 4, 15])
    with Pin({"data": chosen, "other": torch.tensor([0])}):
        assert torch.equal(rows(), chosen)
    with Pin({"data": chosen[:2]}):  # a plate of more data than were pinned repeats them
        assert torch.equal(rows(), chosen[[0, 1, 0, 1]])
    with Pin({}):
        assert len(rows()) == 4
    with Pin({"data": chosen}), pyro.plate("data", 7) as index:  # a plate that takes no subsample is left alone
        assert torch.equal(index, torch.arange(7))


def test_values_are_set_and_observations_are_not() -> None:
    x, z = data(5), data(5, seed=3)
    with Set({"z": z, "x": z}):
        trace = poutine.trace(normal_model).get_trace(x)
    assert torch.equal(trace.nodes["z"]["value"], z) and torch.equal(trace.nodes["x"]["value"], x)
    torch.testing.assert_close(trace.log_prob_sum(), (normal(0.0, 1.0, z) + normal(z, 1.0, x)).sum())


class Positive(dist.TorchDistribution):
    """Independent log-normals as one event, whose support is stated element by element."""

    arg_constraints: ClassVar[dict] = {}
    support = torch.distributions.constraints.positive

    def __init__(self, batch_shape: tuple[int, ...] = ()) -> None:
        super().__init__(torch.Size(batch_shape), torch.Size([2]), validate_args=False)

    def expand(self, batch_shape: torch.Size, _instance: Any = None) -> "Positive":
        return Positive(tuple(batch_shape))

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return torch.randn(*sample_shape, *self.batch_shape, 2).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        return (normal(0.0, 1.0, value.log()) - value.log()).sum(-1)


def test_elementwise_jacobians_are_summed_over_the_event() -> None:
    u = data(4, 2)
    with SetUnconstrained({"z": u}) as setter, pyro.plate("data", 4):
        pyro.sample("z", Positive())
    torch.testing.assert_close(setter.log_jacobian["z"], u.sum(-1))


def test_unconstrained_values_pass_through_the_support_met_in_the_run() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("u", dist.Uniform(torch.zeros(len(x)), x))
            pyro.sample("w", dist.Dirichlet(torch.ones(3)))

    x = data(4).exp()
    u, w = data(4, seed=5), data(4, 2, seed=6)
    setter = SetUnconstrained({"u": u, "w": w})
    with setter:
        pyro_trace = poutine.trace(model).get_trace(x)
    torch.testing.assert_close(setter.values["u"], x * u.sigmoid())
    torch.testing.assert_close(pyro_trace.nodes["u"]["value"], setter.values["u"])
    torch.testing.assert_close(setter.log_jacobian["u"], (x * u.sigmoid() * (1 - u.sigmoid())).log())
    assert setter.log_jacobian["w"].shape == (4,) and setter.values["w"].shape == (4, 3)
    torch.testing.assert_close(setter.values["w"].sum(-1), torch.ones(4))
