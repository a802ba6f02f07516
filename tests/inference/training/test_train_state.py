"""Where training stands, by itself: tensors and numbers are taken, and put back whatever has happened since."""

from dataclasses import asdict

import pytest
import torch
from torch import nn

from elbowroom.inference.training.generators import Generators
from elbowroom.inference.training.optimiser import JointOptimiser
from elbowroom.inference.training.parameters import Parameters
from elbowroom.inference.training.train_state import Progress, TrainState


def state_of(num_outputs: int = 2) -> TrainState:
    """A state of one layer, with a buffer."""
    layer = nn.Sequential(nn.Linear(3, num_outputs), nn.BatchNorm1d(num_outputs))
    parameters = Parameters({f"model.{name}": p for name, p in layer.named_parameters()}, {"model": layer})
    return TrainState(parameters, JointOptimiser(parameters.trainable, 0.1), Generators(torch.device("cpu")))


def move(state: TrainState) -> None:
    """A step on noise."""
    x = torch.randn(5, 3)
    state.parameters.modules["model"](x).square().sum().backward()
    state.optimiser()
    state.progress.step += 1


def bits(state: TrainState) -> dict[str, torch.Tensor]:
    return {f"{group}:{name}": t for group, some in state.tensors().items() for name, t in some.items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_steps_from_a_state_that_was_put_back_are_the_same_steps() -> None:
    state = state_of()
    move(state)
    taken, progress = state.tensors(), asdict(state.progress)
    move(state)
    expected = bits(state)
    state.load(taken, progress, "here")
    assert state.progress == Progress(step=1) and not same(bits(state), expected)
    move(state)
    assert same(bits(state), expected)


def test_numbers_of_later_versions_are_passed_over_and_the_best_epoch_comes_along() -> None:
    state = state_of()
    state.best = state.parameters.snapshot()
    taken = state.tensors()
    move(state)
    other = state_of()
    other.load(taken, {"step": 7, "unheard of": 1}, "there")
    assert other.progress == Progress(step=7)
    move(other)
    other.keep_best()
    assert same(other.parameters.snapshot(), taken["best"])


def test_a_state_of_other_programs_is_refused_and_nothing_is_changed() -> None:
    state, before = state_of(), torch.get_rng_state()
    own = bits(state)
    with pytest.raises(ValueError, match=r"0\.weight.*is \(4, 3\).*in the other run, here \(2, 3\)"):
        state.load(state_of(4).tensors(), {"step": 3}, "the other run")
    torch.set_rng_state(before)
    assert same(bits(state), own) and state.progress == Progress()


def test_notes_are_logged_and_kept(caplog: pytest.LogCaptureFixture) -> None:
    state = state_of()
    state.note("two\nlines")
    assert state.progress.notes == ["two\nlines"]
    assert [record.getMessage() for record in caplog.records] == ["two lines"]
