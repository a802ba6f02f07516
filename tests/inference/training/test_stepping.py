"""Recorded steps give the bits of the programs', whatever the objective; what cannot be recorded is run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Fit, fit
from elbowroom.inference.training import EpochState, NonFiniteError, stepping
from elbowroom.models import VAE
from toys.selections import rest_slow

Pair = tuple[Any, Any]


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "WORTH_A_RECORD", 1)


def images(num_data: int = 22) -> Tensor:
    return torch.bernoulli(torch.full((num_data, 9), 0.4), generator=torch.Generator().manual_seed(3))


def networks() -> Pair:
    torch.manual_seed(0)
    return VAE(9, 2, (8,)), AmortizedNormal(9, 2, (8,))


def both_ways(make: Callable[[], Pair], **options: Any) -> tuple[Fit, Fit]:
    """The same training, run and recorded: the same parameters, losses and validations to the bit."""
    arguments = {"num_epochs": 3, "batch_size": 8, "validation": images(6), "progress": False} | options
    found, ends = [], []
    for compile in (False, "auto"):
        with pyro.get_param_store().scope():
            model, guide = make()
            found.append(fit(model, guide, images(), compile=compile, **arguments))
            store = dict(pyro.get_param_store().named_parameters())
            modules = [program for program in (model, guide) if isinstance(program, nn.Module)]
            owned = [tensor for module in modules for tensor in module.state_dict().values()]
            ends.append([t.detach().clone() for t in (*owned, *(store[name] for name in sorted(store)))])
    assert len(ends[0]) and all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    told = [[{k: v for k, v in epoch.items() if k not in ("seconds", "notes")} for epoch in r.history] for r in found]
    assert told[0] == told[1]
    assert found[0].steps == "run"
    return found[0], found[1]


@pytest.mark.parametrize(
    "options",
    rest_slow(
        [
            {},
            {"loss": "TraceMeanField_ELBO"},
            {"loss": "RenyiELBO", "num_particles": 2},
            {"loss": "IWAE", "num_particles": 3},
            {"loss": "Renyi", "num_particles": 3, "alpha": 0.5},
            {"loss": "STL"},
            {"loss": "DReG", "num_particles": 3},
            {"loss": "score-function", "num_particles": 3},
            {"loss": "reweighted-wake-sleep", "num_particles": 3},
            {"warmup_epochs": 2},
            {"kl_weight": "cyclical", "num_cycles": 2},
            {"free_bits": 0.3, "warmup_epochs": 1},
            {"clip_norm": 0.5, "schedule": "cosine", "beta": 2.0},
            {"optimizer": "SGD", "num_particles": 2, "learning_rate": 1e-3},
        ],
        6,
    ),
    ids=str,
)
def test_the_same_bits_whatever_is_trained_by(options: dict[str, Any]) -> None:
    _, recorded = both_ways(networks, **options)
    assert recorded.steps == "recorded"


def with_state() -> Pair:
    """Batch normalisation, which writes buffers at each step, and dropout, which draws."""
    model, guide = networks()
    guide.net = nn.Sequential(nn.Linear(9, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 4))

    def run(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            mean, log_sd = guide.net(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(mean, log_sd.exp()).to_event(1))

    guide.forward = run
    return model, guide


class Constrained(PyroModule):
    """Parameters that are positive, shared by both draws."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = PyroParam(torch.tensor(0.5), constraints.positive)
        self.weight = nn.Parameter(torch.linspace(-0.3, 0.3, 18).reshape(9, 2))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x @ self.weight, self.scale).to_event(1))


def of_functions() -> Pair:
    """Parameters in the store."""

    def model(x: Tensor) -> None:
        logits = pyro.param("logits", torch.zeros(9))
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Bernoulli(logits=logits + z.unsqueeze(-1)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        scale = pyro.param("scale", torch.tensor(0.7), constraint=constraints.positive)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x.mean(-1), scale))

    return model, guide


@pytest.mark.parametrize("make", [with_state, lambda: (networks()[0], Constrained()), of_functions])
def test_the_same_bits_wherever_parameters_live(make: Callable[[], Pair]) -> None:
    noisy: Any = lambda x: torch.bernoulli(0.1 + 0.8 * x)  # noqa: E731
    _, recorded = both_ways(make, prepare=noisy)
    assert recorded.steps == "recorded"


class Twins(PyroModule):
    """Two parameters with the same gradient, in other shapes, and one whose gradient is a datum."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1, 2))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            mean = self.one * x[:, :2] + self.two * x[:, :2]
            pyro.sample("z", dist.Normal(mean, 0.7).to_event(1))


def test_gradients_that_are_the_same_are_scaled_each_for_itself() -> None:
    """A record merges what is equal, and the optimiser divides gradients in place."""
    _, recorded = both_ways(lambda: (networks()[0], Twins()), optimizer="SGD")
    assert recorded.steps == "recorded"


def branching(x: Tensor, model: Any) -> None:
    model(x) if bool(x.sum() > 1e6) else model(x * 1.0)


def leaving_torch(x: Tensor, model: Any) -> None:
    model(torch.as_tensor(np.round(x.detach().numpy())).to(x))


@pytest.mark.parametrize(("program", "why"), [(branching, "cannot be recorded"), (leaving_torch, "other numbers")])
def test_what_cannot_be_recorded_is_run(program: Any, why: str) -> None:
    def make() -> Pair:
        model, guide = networks()
        forward = model.forward
        model.forward = lambda x: program(x, forward)
        return model, guide

    _, tried = both_ways(make)
    assert tried.steps.startswith("run (") and why in tried.steps


def test_a_program_that_counts_its_steps_is_run() -> None:
    """What changes from step to step is seen in the last bits of the first one."""

    def make() -> Pair:
        model, guide = networks()
        forward, count = guide.forward, [0]

        def drifting(x: Tensor) -> None:
            count[0] += 1
            forward(x * (1.0 + 1e-14 * count[0]))

        guide.forward = drifting
        return model, guide

    found = fit(*make(), images(), num_epochs=2, batch_size=8, progress=False)
    assert found.steps == "run (a record of the programs gives other numbers than they do)"


def test_a_program_that_is_changed_after_an_epoch_is_recorded_anew() -> None:
    def make() -> Pair:
        model, guide = networks()
        guide.power = 1.0
        forward = guide.forward
        guide.forward = lambda x: forward(x**guide.power + 0.1 * guide.power)
        return model, guide

    def stronger(state: EpochState) -> None:
        state.guide.power = 3.0 if state.epoch >= 2 else 1.0

    _, recorded = both_ways(make, on_epoch=stronger, num_epochs=5)
    notes = [note for epoch in recorded.history for note in epoch.get("notes", ())]
    assert recorded.steps == "recorded" and len(notes) == 1 and "recorded anew" in notes[0]


def replacing() -> Pair:
    """A buffer that each step replaces, in the place of writing to it."""
    model, guide = networks()
    guide.register_buffer("seen", torch.zeros(9))
    forward = guide.forward

    def run(x: Tensor) -> None:
        guide.seen = 0.9 * guide.seen + 0.1 * x.mean(0)
        forward(x + 0 * guide.seen)

    guide.forward = run
    return model, guide


def failing_elsewhere() -> Pair:
    """A program that fails at parameters that training does not reach."""
    model, guide = networks()
    forward, weight = guide.forward, next(model.parameters())
    most = 1.001 * weight.detach().numpy().max()

    def run(x: Tensor) -> None:
        if weight.detach().numpy().max() > most:
            raise RuntimeError("too large")
        forward(x)

    guide.forward = run
    return model, guide


@pytest.mark.parametrize(
    ("make", "why"), [(replacing, "other numbers"), (failing_elsewhere, "could not be tried: RuntimeError: too large")]
)
def test_trying_a_record_leaves_no_trace(make: Callable[[], Pair], why: str) -> None:
    """Whatever the programs do meanwhile: parameters and buffers are as they were, and training goes on."""
    _, tried = both_ways(make, learning_rate=1e-9)
    assert tried.steps.startswith("run (") and why in tried.steps


def test_a_frozen_parameter_stays_after_the_epoch_that_froze_it() -> None:
    def freeze(state: EpochState) -> None:
        next(state.model.parameters()).requires_grad_(state.epoch < 2)

    _, recorded = both_ways(networks, on_epoch=freeze, num_epochs=4)
    assert recorded.steps == "recorded"


def test_rows_that_are_not_finite_are_named() -> None:
    model, guide = networks()
    x = images()
    x[13] = 1e200

    with pytest.raises(NonFiniteError) as caught:
        fit(model, guide, x, num_epochs=3, batch_size=8, progress=False, num_validation_samples=2, loss=squares)
    assert caught.value.rows == [13]


def squares(model: Any, guide: Any, x: Tensor) -> Tensor:
    return pyro.infer.Trace_ELBO().differentiable_loss(model, guide, x.clamp(0, 1)) + (x**2).sum()


def test_a_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def train(epochs: int, **options: Any) -> list[Tensor]:
        model, guide = networks()
        found = fit(model, guide, images(), num_epochs=epochs, batch_size=8, progress=False, **options)
        assert found.steps == "recorded"
        return [p.detach().clone() for p in (*model.parameters(), *guide.parameters())]

    class Stop(Exception):
        pass

    def stop(state: EpochState) -> None:
        if state.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train(4, run_dir=tmp_path / "run", on_epoch=stop)
    whole, resumed = train(4), train(4, run_dir=tmp_path / "run", resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))


def test_nothing_is_left_behind_by_a_record() -> None:
    modules = (pyro.infer.trace_elbo, pyro.infer.renyi_elbo)
    before = [module.warn_if_nan for module in modules]
    both_ways(networks)
    assert [module.warn_if_nan for module in modules] == before


@pytest.mark.parametrize("value", ["yes", 1, 0, None])
def test_what_is_no_way_to_step_is_refused(value: Any) -> None:
    words = "'auto', True or False" if value == "yes" else "True or False, or a str"
    with pytest.raises((ValueError, TypeError), match=f"compile must be {words}"):
        fit(*networks(), images(), compile=value)


@pytest.mark.slow
def test_compiled_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One size of minibatches is compiled; a run goes on to the same bits; the others are as near as rounding lets."""
    calls: list[Any] = []
    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *args, **kwargs: calls.append(args) or compile(*args, **kwargs))

    def train(how: Any, epochs: int = 4, **options: Any) -> list[Tensor]:
        model, guide = networks()
        found = fit(model, guide, images(), num_epochs=epochs, batch_size=8, progress=False, compile=how, **options)
        assert found.steps == {"auto": "recorded", True: "compiled"}[how]
        return [p.detach().clone() for p in (*model.parameters(), *guide.parameters())]

    whole, recorded = train(True, warmup_epochs=1), train("auto", warmup_epochs=1)
    assert len(calls) == 1
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in zip(whole, recorded, strict=True))

    class Stop(Exception):
        pass

    def stop(state: EpochState) -> None:
        if state.epoch == 2:
            raise Stop

    with pytest.raises(Stop):
        train(True, run_dir=tmp_path / "run", on_epoch=stop, warmup_epochs=1)
    other = shutil.copytree(tmp_path / "run", tmp_path / "other")
    model, guide = networks()
    told = fit(
        model, guide, images(), num_epochs=4, batch_size=8, progress=False, warmup_epochs=1, run_dir=other, resume=True
    )
    assert any("steps: 'compiled'" in note for epoch in told.history for note in epoch.get("notes", ()))
    resumed = train(True, run_dir=tmp_path / "run", resume=True, warmup_epochs=1)
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))


@pytest.mark.slow
def test_compiled_gradients_that_are_the_same() -> None:
    """A compiler merges what is equal, too."""
    ends = []
    for how in ("auto", True):
        model, guide = networks()[0], Twins()
        found = fit(model, guide, images(), num_epochs=2, batch_size=8, progress=False, compile=how, optimizer="SGD")
        assert found.steps == {"auto": "recorded", True: "compiled"}[how]
        ends.append([p.detach().clone() for p in (*model.parameters(), *guide.parameters())])
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in zip(*ends, strict=True))
