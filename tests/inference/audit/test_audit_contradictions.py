"""Room, its interval and the modes that q misses must not contradict each other."""

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from elbowroom.inference import Estimate, agreement, decompose, hmc
from elbowroom.inference.audit.contradictions import contradicted, least_room, reconciled
from elbowroom.inference.audit.intervals import count, mean
from elbowroom.inference.audit.verdict.data import tell_contradicted
from elbowroom.inference.diagnostics.agreement import Agreement
from elbowroom.inference.evidence.bracket.choice import LOWER, MISSED_MODES, choose
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.gap import Decomposition
from toys.gap import TwoModes

MISSED = -math.log(0.9)


def found(log_p_short_of: float) -> tuple[Decomposition, Agreement]:
    """A guide on the large mode, .9 of the posterior in four latents, and log p(x) that lacks so many nats."""
    modes = TwoModes()
    target = modes.target(1.0, 2.0)
    draws = hmc(target, num_draws=500, num_warmup=100)
    log_p = Estimate(torch.full((2,), modes.log_p - log_p_short_of), torch.full((2,), 1e-3), "none")
    room = decompose(target, log_p=log_p, draws=draws, families=["mean-field"])
    return room, agreement(target, draws, log_p=log_p)


@pytest.fixture(scope="module")
def blind() -> tuple[Decomposition, Agreement]:
    """log p(x) was found without the small mode, as the guide's own weights would find it."""
    torch.set_default_dtype(torch.float64)
    return found(MISSED)


@pytest.mark.slow
def test_the_least_room_is_that_of_the_missed_mass(blind: tuple[Decomposition, Agreement]) -> None:
    least, error = least_room(blind[1])
    assert bool(((least - MISSED).abs() < 4 * error).all()) and float(error.max()) < 0.03


def test_a_contradicted_room_is_raised_and_flagged(blind: tuple[Decomposition, Agreement]) -> None:
    room, judged = blind
    assert float(room.room().value.abs().max()) < 0.01  # next to nothing, and known well
    assert contradicted(room, judged).tolist() == [True, True]
    told = reconciled(room, judged)
    value = told.room()
    assert bool(((value.value - MISSED).abs() < 4 * value.stderr).all())
    assert all("was found without them" in flag for flag in told.flags)
    total = told.elbo.value + told.amortization.value + told.optimisation.value + told.approximation.value
    torch.testing.assert_close(total, told.log_p.value, rtol=0, atol=1e-10)
    number = mean(value, torch.arange(2), 2, "")
    assert number.low < MISSED and number.value > 0.05 and number.high == math.inf  # a value from below
    assert told.log_p.info["method"] == (MISSED_MODES,) * 2
    assert not bool(contradicted(told, judged).any())


def test_the_verdict_says_so(blind: tuple[Decomposition, Agreement]) -> None:
    room, judged = blind
    for decomposition in (room, reconciled(room, judged)):
        parts: Any = SimpleNamespace(
            examination=SimpleNamespace(decomposition=decomposition, agreement=judged, data=(7, 3))
        )
        (finding,) = tell_contradicted(parts, {"contradicted": count(torch.tensor([True, True]), "")})
        assert finding.tone == "bad" and finding.data == (7, 3)
        assert "log p(x) of 2 data was found without modes that q misses" in finding.sentence
        assert not tell_contradicted(parts, {"contradicted": count(torch.tensor([False, False]), "")})


def test_chains_that_did_not_pass_raise_nothing(blind: tuple[Decomposition, Agreement]) -> None:
    room, judged = blind
    told = reconciled(room, replace(judged, flags=("", "R-hat 1.3 > 1.01")))
    assert told.log_p.value[1] == room.log_p.value[1] and told.log_p.value[0] > room.log_p.value[0]
    assert "did not pass their gates" in told.flags[1]


@pytest.mark.slow
def test_room_that_holds_the_missed_modes_is_left_alone() -> None:
    room, judged = found(0.0)
    assert reconciled(room, judged) is room


def test_the_bracket_does_not_believe_what_missed_modes_contradict() -> None:
    ledger = Ledger.empty(2)
    low = Estimate(torch.zeros(2), torch.full((2,), 1e-3), "lower")
    ledger.put("adapted importance", torch.arange(2), low)
    ledger.put(MISSED_MODES, torch.tensor([1]), Estimate(torch.tensor([MISSED]), torch.tensor([0.012]), "lower"))
    side = choose(ledger, LOWER)
    assert side.flags[0] == "" and "modes that the guide misses" in side.flags[1]
