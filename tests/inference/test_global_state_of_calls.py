"""Law 7, for every public call: what the process and the user's modules share is as it was, however the call ends."""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn

from elbowroom import inference
from elbowroom.inference import (
    Target,
    bits_per_dimension,
    check_program,
    code_usage,
    decompose,
    encoder_overfitting,
    fit,
    importance,
    load_checkpoint,
    merge_shards,
    perplexity,
    read_shards,
    retrain_guide,
    shard,
    shard_cost,
    shards_standing,
)
from toys.estimators import ESTIMATORS, FIRST
from toys.global_state import untouched
from toys.programs import data


class Alarm:
    """Raises at one of the calls of the programs that ask it."""

    def __init__(self) -> None:
        self.calls, self.at, self.error = 0, -1, RuntimeError

    def set(self, at: int, error: Any) -> None:
        self.calls, self.at, self.error = 0, at, error

    def __deepcopy__(self, memo: object) -> "Alarm":
        return self  # one for all copies of a program

    def ask(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise self.error("from inside the user's program")


class Program(PyroModule):
    """A module that asks the alarm, and may have parameters in the store."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__()
        self.alarm, self.stored = alarm, True

    def without_store(self) -> Any:
        self.stored = False
        return self


class Model(Program):
    """x | z ~ N(W z, σ), σ in the parameter store."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(alarm)
        self.weight = nn.Parameter(data(2, 4, seed=1))

    def forward(self, x: Tensor) -> None:
        self.alarm.ask()
        sigma = torch.tensor(0.8)
        if self.stored:
            sigma = pyro.param("sigma", sigma, constraint=dist.constraints.positive)
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ self.weight, sigma).to_event(1), obs=x)


class Guide(Program):
    """Layers that behave differently in training, in evaluation mode; one of them frozen."""

    def __init__(self, alarm: Alarm) -> None:
        super().__init__(alarm)
        self.encoder = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2)).eval()
        self.encoder[0].weight.requires_grad_(False)
        self.scale = PyroParam(torch.tensor(0.7), constraint=dist.constraints.positive)

    def forward(self, x: Tensor) -> None:
        self.alarm.ask()
        shift = pyro.param("shift", torch.tensor(0.1)) if self.stored else 0.1
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(self.encoder(x) + shift, self.scale).to_event(1))


X = data(2, 4)
FEW = {"num_samples": 20, "search": False}


def evaluate(call: Callable[[Target, int, int | None], Any]) -> Callable[[Any, Any, Path], Any]:
    return lambda model, guide, _: call(Target(model, guide, X), 0, None)


def every_method(model: Any, guide: Any, _: Path) -> None:
    target = Target(model, guide, X)
    z, _ = target.propose(3, seed=2)
    target.log_guide(z), target.log_joint(z), target.log_weights(3), target.sample_prior(3), target.sites()
    target.log_joint_unconstrained(target.unconstrain(z))
    target.select([1, 1]).log_weights(2)


def copies(model: Model, guide: Guide) -> tuple[Model, Guide]:
    """Programs that may be trained, without parameters in the store."""
    return copy.deepcopy(model).without_store(), copy.deepcopy(guide).without_store()


def trained(model: Model, guide: Guide, folder: Path) -> Path:
    """Parameters move, and nothing else of the modules."""
    run_dir = Path(tempfile.mkdtemp(dir=folder)) / "run"
    pair = copies(model, guide)
    modes = [part.training for program in pair for part in program.modules()]
    try:
        fit(*pair, X, validation=X, num_epochs=2, batch_size=1, run_dir=run_dir, progress=False)
    finally:
        assert [part.training for program in pair for part in program.modules()] == modes
    return run_dir


def loaded(model: Model, guide: Guide, folder: Path) -> None:
    load_checkpoint(trained(model, guide, folder), *copies(model, guide))


def sharded(model: Model, guide: Guide, folder: Path) -> None:
    place = tempfile.mkdtemp(dir=folder)
    shard(Target(model, guide, X), output=place, options=FEW, progress=False)
    shards_standing(place)
    read_shards(merge_shards(place, partial=True))


def retrained(model: Model, guide: Guide, _: Path) -> None:
    still = model.without_store()
    retrain_guide(Target(still, guide, X), copies(model, guide)[1], X, num_epochs=1, num_samples=8)


def overfitting(model: Model, guide: Guide, _: Path) -> None:
    found = decompose(Target(model, guide, X), families=["mean-field"], num_samples=32)
    encoder_overfitting(found, found)


CALLS: dict[str, Callable[[Any, Any, Path], Any]] = {
    "Target": every_method,
    "check_program": lambda model, guide, _: check_program(model, guide, X),
    "fit": trained,
    "load_checkpoint": lambda model, guide, folder: load_checkpoint(
        trained(model, guide, folder), *copies(model, guide)
    ),
    "retrain_guide": retrained,
    "encoder_overfitting": overfitting,
    "perplexity": lambda model, guide, _: perplexity(
        importance(Target(model, guide, X), num_samples=20, search=False), torch.ones(len(X), 3)
    ),
    "bits_per_dimension": lambda model, guide, _: bits_per_dimension(
        importance(Target(model, guide, X), num_samples=20, search=False), X
    ),
    **dict.fromkeys(("shard", "shards_standing", "merge_shards", "read_shards"), sharded),
    "shard_cost": lambda model, guide, _: shard_cost(Target(model, guide, X), options=FEW),
    "code_usage": lambda model, guide, _: code_usage((Target(model, guide, X).log_weights(3) > 0).long(), 2),
    **{name: evaluate(entry.call) for name, entry in ESTIMATORS.items()},
}
LONG = {"anneal_reverse", "encoder_overfitting", "bidirectional", "bracket", "decompose", "smc", "versus"}
QUICK = [
    name
    for name in CALLS
    if name not in LONG and (name not in ESTIMATORS or (name in FIRST.values() and not ESTIMATORS[name].slow))
]
SLOW = [name for name in CALLS if name not in QUICK]
every_call = pytest.mark.parametrize("name", [*QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])

Interruptions = Callable[[int], list[tuple[int, type[BaseException]]]]
"""Of so many calls of the programs: at which of them they raise, and what."""
SOME: tuple[Interruptions, ...] = (
    lambda total: [(1, KeyboardInterrupt), (total // 2, KeyboardInterrupt)],
    lambda total: [(total // 2, RuntimeError), (total, KeyboardInterrupt)],
)
"""One of these for each call, in turn."""


def programs() -> tuple[Model, Guide, Alarm]:
    """Whose parameters are in the store already, as after training."""
    alarm = Alarm()
    model, guide = Model(alarm), Guide(alarm)
    model(X), guide(X)
    return model, guide, alarm


def test_every_public_call_is_here() -> None:
    public = {name for name in inference.__all__ if not isinstance(getattr(inference, name), type)}
    assert {name.split()[0] for name in CALLS} == public | {"Target"}


@every_call
def test_nothing_is_changed_by_a_call_whether_it_returns_or_is_interrupted(name: str, tmp_path: Path) -> None:
    interrupt(name, tmp_path, SOME[list(CALLS).index(name) % len(SOME)])


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_changed_wherever_a_call_is_interrupted(name: str, tmp_path: Path) -> None:
    """Interruptions come from the programs' first call, from their last, and from one between, as does an error."""
    interrupt(name, tmp_path, lambda total: [point for some in SOME for point in some(total)])


def interrupt(name: str, tmp_path: Path, interruptions: Interruptions) -> None:
    """An error may be a reason to run a program in another way; an interruption must come out."""
    model, guide, alarm = programs()
    alarm.set(-1, RuntimeError)
    with untouched(model, guide):
        CALLS[name](model, guide, tmp_path)
    total = alarm.calls
    assert total > 1
    for at, error in interruptions(total):
        alarm.set(at, error)
        with untouched(model, guide):
            ended = outcome(lambda: CALLS[name](model, guide, tmp_path))
        assert alarm.calls >= at and (error is RuntimeError or ended is error), (at, error, ended)


def outcome(call: Callable[[], Any]) -> type[BaseException] | None:
    """What a call raised."""
    try:
        call()
    except BaseException as error:
        return type(error)
    return None
