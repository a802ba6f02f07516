"""Compiled importance sampling gives the numbers of the plain one, however it is cut, or runs plainly."""

from collections.abc import Iterator
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, importance, tiles, traced
from elbowroom.inference.chunks import Plan, measure
from elbowroom.inference.streams import from_guide
from elbowroom.models import VAE
from tests.inference.programs import data, normal_guide, normal_model
from tests.inference.test_importance import same


@pytest.fixture
def recorded_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Records are made but not compiled, which takes seconds; what was recorded is told."""
    made: list[Any] = []

    def keep(graph: Any, **options: Any) -> Any:
        made.append(graph)
        return graph

    monkeypatch.setattr(traced.torch, "compile", keep)
    yield made


def vae(num_data: int) -> Target:
    torch.manual_seed(0)
    x = (data(num_data, 6) > 0).double()
    return Target(VAE(6, 2, (8,), activation="tanh"), AmortizedNormal(6, 2, (8,), activation="tanh"), x)


def gamma_guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("rate", dist.LogNormal((x + 1).log(), 0.8))


def gamma_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        rate = pyro.sample("rate", dist.Gamma(2.0, 0.5))
        pyro.sample("x", dist.Poisson(rate), obs=x)


TARGETS = {
    "vae": lambda: vae(7),
    "one datum": lambda: vae(1),
    "normal": lambda: Target(normal_model, normal_guide(0.9), data(4)),
    "constrained": lambda: Target(gamma_model, gamma_guide, torch.tensor([0.0, 2.0, 7.0])),
    "one program": lambda: Target(normal_model, normal_guide(0.9), data(1), plate=None),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("num_samples", [3, 700])
def test_the_numbers_are_those_of_plain_runs(recorded_only: list[Any], name: str, num_samples: int) -> None:
    target = TARGETS[name]()
    plain = importance(target, num_samples=num_samples, seed=3, num_particles=[2])
    same(importance(target, num_samples=num_samples, seed=3, num_particles=[2], compile=True), plain)
    assert len(recorded_only) == 1


@pytest.mark.parametrize("tile", [1, 5, 600])
def test_tiles_and_chunks_change_nothing(recorded_only: list[Any], monkeypatch: pytest.MonkeyPatch, tile: int) -> None:
    """Neither do tiles that samples or data do not fill."""
    monkeypatch.setattr(tiles, "TILE", tile)
    monkeypatch.setattr(tiles, "_ROWS", 3)
    target = vae(7)
    whole = importance(target, num_samples=40)
    same(importance(target, num_samples=40, compile=True), whole)
    budget = int(measure(target)(1, 17)) + 1
    same(importance(target, num_samples=40, compile=True, memory_bytes=budget), whole)


def test_draws_are_those_of_the_guide(recorded_only: list[Any]) -> None:
    """A range of samples of some of the data: the same weights, sample by sample."""
    target = vae(7)
    sampler = tiles.compiled_draws(target, Plan(7, 7, 300))
    for part, start in ((target, 0), (target.select([4, 2]), 300), (target.select([1, 0]), 300), (target, 37)):
        for found, expected in zip(sampler(part, 300, 5, start), from_guide(part, 300, 5, start), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert len(recorded_only) == 1


def test_a_second_call_records_nothing(recorded_only: list[Any]) -> None:
    target = vae(4)
    for seed in (0, 1):
        importance(target, num_samples=50, seed=seed, compile=True)
    assert len(recorded_only) == 1


def test_programs_that_leave_torch_are_run_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(torch.from_numpy(z.detach().numpy() ** 2), 1.0), obs=x)

    target = Target(model, normal_guide(0.9), data(3))
    monkeypatch.setattr(traced.torch, "compile", lambda graph, **options: graph)
    same(importance(target, num_samples=60, compile=True), importance(target, num_samples=60))
    assert list(traced._RECORDS[target].values()) == [None]


@pytest.mark.slow
def test_compiled() -> None:
    """The compiler's own code, in single precision: equal to the rounding of the sums."""
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    x = torch.bernoulli(torch.full((5, 40), 0.3))
    target = Target(VAE(40, 3, (16,), activation="tanh"), AmortizedNormal(40, 3, (16,)), x)
    plain, found = (importance(target, num_samples=1000, compile=compile) for compile in (False, True))
    torch.testing.assert_close(found.value, plain.value, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(found.info["elbo"], plain.info["elbo"], rtol=1e-5, atol=1e-4)
