"""A bracket that is stopped and goes on, and the states that it refuses."""

import math
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from elbowroom.inference import InUseError, StateError, Target, bracket
from elbowroom.inference.evidence.bracket import stages as methods
from elbowroom.inference.saving.one_writer import only_writer
from toys.programs import data, normal_guide, normal_model

GENEROUS = 300.0  # seconds: more than anything here takes, so that time decides nothing
stages = import_module("elbowroom.inference.evidence.bracket.bracket")  # the package's name of it is the function


def conjugate(num_data: int, s: float = 0.8) -> Target:
    return Target(normal_model, normal_guide(s), data(num_data) * math.sqrt(2.0))


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after its first blocks and continued, it says what an uninterrupted one does, and repeats nothing."""
    target = conjugate(6)
    monkeypatch.setattr(methods, "MAX_LATTICE_DIM", -1)
    whole = bracket(target, budget=GENEROUS)
    state = tmp_path / "deep" / "state.safetensors"
    asked: list[tuple[str, int]] = []
    stop = [2]

    def counted(name: str, stage: methods.Stage) -> methods.Stage:
        def run(work: methods.Work, rows: Tensor, effort: int) -> None:
            if name == "chains" and not stop[0]:
                raise KeyboardInterrupt
            stop[0] -= name == "chains"
            asked.append((name, len(rows)))
            stage(work, rows, effort)

        return run

    monkeypatch.setattr(stages, "STAGES", {name: counted(name, stage) for name, stage in methods.STAGES.items()})
    monkeypatch.setattr(stages, "_BLOCK", dict.fromkeys(stages._BLOCK, 2) | {"importance": 6})
    with pytest.raises(KeyboardInterrupt):
        bracket(target, budget=GENEROUS, state=state)
    assert asked == [("importance", 6), ("chains", 2), ("chains", 2)]
    stop[0] = -1
    asked.clear()
    found = bracket(target, budget=GENEROUS, state=state)
    assert asked == [("chains", 2)]
    for side in ("lower", "upper"):
        torch.testing.assert_close(getattr(found, side).value, getattr(whole, side).value, rtol=0, atol=1e-9)
    assert found.flags == whole.flags == ("",) * 6
    asked.clear()
    again = bracket(target, budget=GENEROUS, state=state)
    assert asked == [] and again.seconds == found.seconds
    assert torch.equal(again.lower.value, found.lower.value)


def test_a_state_has_one_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second call with one state is refused, from within the first; other states are free; then it may go on."""
    target, state, said = conjugate(6), tmp_path / "deep" / "state.safetensors", []

    def second(work: methods.Work, rows: Tensor, effort: int) -> None:
        with pytest.raises(InUseError, match=r"state='.*state.safetensors' is in use: this process") as refused:
            bracket(target, budget=GENEROUS, state=state)
        said.append(refused.value)
        methods.STAGES["importance"](work, rows, effort)

    with monkeypatch.context() as patch:
        patch.setattr(stages, "STAGES", methods.STAGES | {"importance": second})
        bracket(target, budget=GENEROUS, state=state)
    assert said and [p.name for p in state.parent.iterdir()] == ["state.safetensors"]
    with only_writer(tmp_path / "other", "state", folder=False):
        bracket(target, budget=GENEROUS, state=state)


def test_a_state_of_something_else_is_refused(tmp_path: Path) -> None:
    target = conjugate(4)
    state = tmp_path / "state"
    bracket(target, budget=GENEROUS, state=state, seed=3)
    before = state.read_bytes()
    others: list[tuple[Callable[[], Any], str]] = [
        (lambda: bracket(target.select([0, 1]), state=state, seed=3), "other data"),
        (lambda: bracket(target.select([1, 0, 2, 3]), state=state, seed=3), "other data"),
        (lambda: bracket(conjugate(4, 0.7), state=state, seed=3), "other programs"),
        (lambda: bracket(target, state=state, seed=4), "other programs|other seed"),
    ]
    for call, told in others:
        with pytest.raises(StateError, match=told):
            call()
        assert state.read_bytes() == before


def test_effort_grows_until_it_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round once, on the data that need it; what was not enough is kept as effort spent."""
    asked: list[tuple[int, int]] = []

    def chains(work: methods.Work, rows: Tensor, effort: int) -> None:
        asked.append((effort, len(rows)))
        if effort == 2:
            methods.by_quadrature(work, rows[:1], effort)

    monkeypatch.setattr(methods, "MAX_LATTICE_DIM", -1)
    monkeypatch.setattr(stages, "STAGES", methods.STAGES | {"chains": chains})
    found = bracket(conjugate(3), budget=GENEROUS)
    assert asked == [(0, 3), (1, 3), (2, 3), (3, 2)]
    assert found.ledger.effort.tolist() == [2, 3, 3] and found.settled.tolist() == [True, False, False]
