"""An audit keeps its budget, says what it had no room for, and spends what is left on the data not examined."""

import math
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch

from elbowroom.inference import Audit, Draws, audit_target, decompose
from elbowroom.inference.audit import examination
from elbowroom.inference.audit.known import known_of_all
from elbowroom.inference.programs import evaluations
from toys.audit import GENEROUS, Line, Plane, one_block
from toys.clock import Clock


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "NUM_DRAWS", 100)
    monkeypatch.setattr(examination, "NUM_WARMUP", 50)
    monkeypatch.setattr(examination, "decompose", partial(decompose, families=["mean-field"]))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.3, pytest.param(1.5, marks=pytest.mark.slow)])
def test_seconds_are_kept(seconds: float, clock: Clock) -> None:
    target, begin = Plane().target(12), clock.seconds
    found = audit_target(target, budget=seconds, num_simulations=60)
    used = (clock.seconds - begin) / seconds
    assert used <= 1.3 and (used >= 0.5 or bool(found.bracket.settled.all())), (used, found.skipped)
    assert found.bracket.lower.value.isfinite().all()


def test_what_there_is_no_room_for_is_said_with_what_it_takes() -> None:
    found = audit_target(Plane().target(12), budget=0.01, num_simulations=60)
    for part in ("use of the latents", "calibration", "examination"):
        assert "takes about" in found.skipped[part] and "has no room" in found.skipped[part], found.skipped
    assert found.decomposition is None and found.calibration is None


@pytest.mark.slow
def test_evaluations_give_the_same_bits(clock: Clock, tmp_path: Path) -> None:
    target, begin, budget = Line(0.8).target(8), evaluations.total(), "2e5 evaluations"
    first = audit_target(target, budget=budget, num_simulations=40)
    assert evaluations.total() - begin <= 1.05 * 2e5
    clock.seconds += 1e4
    for again in (audit_target(Line(0.8).target(8), budget=budget, num_simulations=40, state=tmp_path / "state"),):
        assert again.numbers == first.numbers and again.findings == first.findings and again.rows == first.rows
        assert torch.equal(again.bracket.lower.value, first.bracket.lower.value)
    assert first.provenance["budget"] == budget and 0 < len(first.rows["decomposition"]) < 8


@cache
def of_twenty() -> Audit:
    """Sixteen are examined; a lattice knows all twenty."""
    with one_block():
        return audit_target(Line(0.6).target(20), budget=GENEROUS, num_simulations=40)


def means(found: Audit) -> tuple[float, float]:
    return found.numbers["log_p"].value, found.numbers["gap"].value


@pytest.mark.slow
def test_means_are_of_all_data_if_all_are_known() -> None:
    """The headline is of what the lattice knows."""
    found, (x,) = of_twenty(), Line(0.6).target(20).args
    truth = torch.distributions.Normal(0.0, math.sqrt(2.0)).log_prob(x).mean()
    assert means(found)[0] == pytest.approx(float(truth), abs=1e-6)
    assert means(found)[1] == pytest.approx(Line(0.6).gap, abs=3 * (found.numbers["gap"].high - means(found)[1]) / 1.96)
    assert "of all 20 usable data" in found.numbers["log_p"].about


@pytest.mark.slow
def test_some_known_data_do_not_speak_for_all() -> None:
    """The settled ones are the easy ones: unless all are known, the random sample speaks."""
    found = of_twenty()
    sampled, bracket, unusable = found.sampled, found.bracket, ("",) * 20
    assert sampled is not None and known_of_all(bracket, sampled, None, unusable) is not None
    flagged = bracket.__class__(**{**vars(bracket), "flags": ("wide", *bracket.flags[1:])})
    assert known_of_all(flagged, sampled, None, unusable) is None
    left_out = known_of_all(flagged, sampled, None, ("exploded", *unusable[1:]))
    assert left_out is not None and left_out.population == 19 == len(left_out.room)


@pytest.mark.slow
def test_chains_that_took_nearly_all_leave_something_to_say(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they have cost is not thrown away: the first block is finished with whatever is left."""
    used, budget = examination.hmc, 20.0

    def slow(*args: Any, **kwargs: Any) -> Draws:
        draws = used(*args, **kwargs)
        clock.seconds = begin + 0.97 * budget
        return draws

    target, begin = Line(0.8).target(6, size=5), clock.seconds
    monkeypatch.setattr(examination, "hmc", slow)
    found = audit_target(target, budget=budget, num_simulations=40)
    assert "examination" not in found.skipped, found.skipped
    assert found.decomposition is not None and found.cost["chains, agreement and decomposition"] > 1.0
    assert clock.seconds - begin < 1.1 * budget
