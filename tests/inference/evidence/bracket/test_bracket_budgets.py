"""A budget is kept and spent: in seconds (of a clock that counts), and in evaluations, to the bit."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Bracket, Target, bracket
from elbowroom.inference.evidence.bracket import stages as methods
from elbowroom.inference.evidence.bracket.forecast import Forecast
from elbowroom.inference.programs import evaluations
from elbowroom.inference.programs.evaluations import GRADIENT
from toys.clock import CELL, Clock
from toys.programs import Ppca, data, normal_guide, normal_model

NAMES = ("lower", "upper")


def line(num_data: int = 12) -> Target:
    """Two latents that a lattice may not answer."""
    return Target(normal_model, normal_guide(0.8), data(num_data) * math.sqrt(2.0))


def whole() -> Target:
    """One datum, which cannot be cut, with four latents: a search is sent."""
    made = Ppca.make(5, 4, 0.7)
    x = made.sample(1)

    def model(x: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(torch.zeros(4), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(x.mean() * 0 + z.sum(), 0.7).expand(x.shape).to_event(2), obs=x)

    def guide(x: Tensor) -> None:
        pyro.sample("z", dist.Normal(x.mean().expand(4) / 4, 0.8).to_event(1))

    return Target(model, guide, x, plate=None)


@pytest.fixture(autouse=True)
def no_lattice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "MAX_LATTICE_DIM", -1)


def same(one: Bracket, other: Bracket) -> None:
    for name in NAMES:
        assert torch.equal(getattr(one, name).value, getattr(other, name).value)
        assert torch.equal(getattr(one, name).stderr, getattr(other, name).stderr)
    assert one.flags == other.flags and one.notes == other.notes and one.forecast == other.forecast


def test_a_forecast_holds_fits_and_points_of_few_and_of_many_data(clock: Clock) -> None:
    """Within a half, though a point costs next to nothing beside a call; and what is done beside the programs."""
    found = Forecast.measure(line())
    assert abs(found.point * GRADIENT / (2 * CELL) - 1) < 0.5, found  # of a plain run, and of the recorder around it
    with_fits = replace(found, fit=found.fit + 0.25)
    assert math.isclose(with_fits.cost("chains", 40, 1.0) - found.cost("chains", 40, 1.0), (8 * 40 + 45) * 0.25)


@pytest.mark.parametrize(
    ("make", "seconds"),
    [
        (whole, 0.15),
        (line, 0.4),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((line, 0.15), (whole, 0.4), (line, 1.5), (whole, 1.5))
        ),
    ],
)
def test_seconds_are_kept_and_spent(make: Any, seconds: float, clock: Clock) -> None:
    target, begin = make(), clock.seconds
    found = bracket(target, budget=seconds, tolerance=0.003)
    used = (clock.seconds - begin) / seconds
    assert used <= 1.3, used
    assert bool(found.settled.all()) or used >= 0.5, (used, found.flags, found.forecast)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "number"),
    [
        (whole, 8e3),
        (line, 5e4),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in ((line, 8e3), (whole, 5e4), (line, 4e5), (whole, 4e5))
        ),
    ],
)
def test_evaluations_are_kept_and_give_the_same_bits(make: Any, number: float, clock: Clock) -> None:
    target, begin = make(), evaluations.total()
    first = bracket(target, budget=f"{number:g} evaluations", tolerance=0.003)
    used = (evaluations.total() - begin) / number
    assert used <= 1.2 and (bool(first.settled.all()) or used >= 0.5), (used, first.flags)  # plans measure a little
    clock.seconds += 1e4  # another load; and the programs have been recorded by now
    same(first, bracket(target, budget=f"{number:g} evaluations", tolerance=0.003))
    same(first, bracket(make(), budget=evaluations_of(number), tolerance=0.003))
    assert first.unit == "evaluations"


def evaluations_of(number: float) -> Any:
    from elbowroom.inference import Evaluations

    return Evaluations(number)


@pytest.mark.slow
def test_a_state_and_evaluations(tmp_path: Path) -> None:
    """Two calls of half a budget are a function of their arguments too, and a state changes no number."""
    target, half = line(4), "5e4 evaluations"
    alone = bracket(target, budget=half, tolerance=0.003)
    twice = []
    for name in ("one", "other"):
        first = bracket(target, budget=half, tolerance=0.003, state=tmp_path / name)
        same(first, alone)
        twice.append(bracket(target, budget=half, tolerance=0.003, state=tmp_path / name))
    same(*twice)
    assert int(twice[0].ledger.effort.sum()) > int(alone.ledger.effort.sum())
