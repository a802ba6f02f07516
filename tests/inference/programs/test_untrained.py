"""Suspicions that programs were never trained: they begin with the initial values, and end with the first step."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.infer import autoguide as auto
from torch import Tensor, nn
from torch.distributions import constraints

from elbowroom.inference import Target, audit_target, check_program
from elbowroom.inference.programs.initial_weights import as_made
from toys.programs import data, normal_guide, normal_model

X = data(6, 3)


def globals_of(x: Tensor) -> None:
    w = pyro.sample("w", dist.Normal(0.0, 1.0).expand([3]).to_event(1))
    s = pyro.sample("s", dist.LogNormal(0.0, 1.0))
    with pyro.plate("rows", len(x)):
        pyro.sample("x", dist.Normal(w, s).to_event(1), obs=x)


def local(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(3), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(z, 0.5).to_event(1), obs=x)


def per_datum_parameters(x: Tensor) -> None:
    with pyro.plate("data", len(x)) as i:
        loc = pyro.param("loc", lambda: torch.zeros(6, 3))
        scale = pyro.param("scale", lambda: torch.ones(6, 3), constraint=constraints.positive)
        pyro.sample("z", dist.Normal(loc[i], scale[i]).to_event(1))


class Encoder(nn.Module):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 16, dtype=dtype), nn.Tanh(), nn.Linear(16, 6, dtype=dtype)).double()

    def guide(self, x: Tensor) -> None:
        loc, log_scale = self.net(x).chunk(2, -1)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))


def train(model: Callable[[Tensor], None], guide: Callable[[Tensor], None], steps: int = 2, lr: float = 1e-4) -> None:
    svi = SVI(model, guide, pyro.optim.Adam({"lr": lr}), Trace_ELBO())
    for _ in range(steps):
        svi.step(X)


@pytest.mark.parametrize(
    "kind",
    ["AutoNormal", "AutoDiagonalNormal", "AutoMultivariateNormal", "AutoLowRankMultivariateNormal"],
)
@pytest.mark.parametrize("called", [False, True])
def test_an_autoguide_until_its_first_step(kind: str, called: bool) -> None:
    guide = getattr(auto, kind)(globals_of)
    if called:
        guide(X)
    assert any("AutoGuide" in note for note in Target(globals_of, guide, X, plate=None).notes)
    train(globals_of, guide)
    assert not Target(globals_of, guide, X, plate=None).notes


@pytest.mark.parametrize("called", [False, True])
def test_parameters_of_statements_until_their_first_step(called: bool) -> None:
    if called:
        per_datum_parameters(X)
    (note,) = Target(local, per_datum_parameters, X).notes
    assert "loc, scale" in note and "never been trained" in note
    train(local, per_datum_parameters, steps=1)
    assert not Target(local, per_datum_parameters, X).notes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_until_its_first_step(dtype: torch.dtype) -> None:
    """One small step of gradient descent leaves every weight within its bounds, and the shape of their distribution."""
    encoder = Encoder(dtype)
    (note,) = check_program(local, encoder.guide, X).notes
    assert "all 2 linear and convolution layers of the guide" in note
    step = torch.optim.SGD(encoder.parameters(), 1e-5)
    encoder.net(X).square().sum().backward()
    step.step()
    assert not Target(local, encoder.guide, X).notes


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "make",
    [partial(nn.Linear, 30, 40), partial(nn.Conv2d, 3, 8, 3), partial(nn.Conv1d, 8, 32, 5, groups=2, bias=False)],
)
def test_layers_of_all_kinds(make: Callable[..., nn.Module], dtype: torch.dtype) -> None:
    layer = make(dtype=dtype)
    weight, bias = layer.weight, layer.bias
    assert as_made([(weight, bias)])  # type: ignore[list-item]
    assert not as_made([(weight.detach() * (1 - 1e-6), bias)])  # type: ignore[list-item, operator]
    assert not as_made([(torch.rand_like(weight) * weight.amax(), bias)])  # type: ignore[list-item, operator, arg-type]


def test_networks_that_were_drawn_otherwise_are_not_accused() -> None:
    encoder = Encoder(torch.float64)
    for parameter in encoder.parameters():
        nn.init.normal_(parameter, std=0.05)
    assert not Target(local, encoder.guide, X).notes


@pytest.mark.parametrize(("moved", "shape"), [(0, "6 × 100"), (2, "100 × 3")])
def test_one_layer_that_was_left_out(moved: int, shape: str) -> None:
    encoder = Encoder(torch.float64)
    encoder.net = nn.Sequential(nn.Linear(3, 100), nn.Tanh(), nn.Linear(100, 6)).double()
    with torch.no_grad():
        encoder.net[moved].weight.add_(1e-6)
    (note,) = Target(local, encoder.guide, X).notes
    assert f"1 of the 2 linear and convolution layers of the guide ({shape}) has the weights" in note
    with torch.no_grad():
        encoder.net[2 - moved].weight.add_(1e-6)
    assert not Target(local, encoder.guide, X).notes


def test_programs_without_anything_to_train_are_not_accused() -> None:
    assert not Target(normal_model, normal_guide(0.9), data(3)).notes


class Told:
    """A guide of which something is known."""

    doubts = ("drawn here, never loaded",)

    def __init__(self, guide: Callable[..., Any]) -> None:
        self.guide = guide

    def __call__(self, x: Tensor) -> None:
        self.guide(x)


def test_a_suspicion_is_no_flag_and_the_verdict_says_it() -> None:
    target = Target(local, Encoder(torch.float64).guide, X)
    assert not any(target.cautions)
    findings = audit_target(target, budget=0.2, num_simulations=60).findings
    assert "never been trained" in findings[0].sentence and findings[0].tone == "warning"
    assert sum("never been trained" in finding.sentence for finding in findings) == 1


def test_whoever_made_a_program_knows_better() -> None:
    """Its own sentence takes the place of the suspicion about its layers."""
    guide = Told(Encoder(torch.float64).guide)
    assert Target(local, guide, X).suspicions == ("drawn here, never loaded",) == Target(local, guide, X).notes


def test_the_store_and_the_generator_are_left_alone() -> None:
    per_datum_parameters(X)
    before, state = dict(pyro.get_param_store().items()), torch.get_rng_state()
    assert Target(local, per_datum_parameters, X).notes
    assert dict(pyro.get_param_store().items()).keys() == before.keys() and torch.equal(torch.get_rng_state(), state)
