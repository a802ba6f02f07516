"""Up to sixteen latents a mixture fitted to what a search found is weighed from both sides, before any chain."""

import math
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Draws, Estimate, Target, bracket
from elbowroom.inference.evaluation.clock import Clock, Evaluations
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evidence.bracket import population, stages
from elbowroom.inference.evidence.bracket.accounted import account
from elbowroom.inference.evidence.bracket.bracket import continued
from elbowroom.inference.evidence.bracket.choice import EXPEDITION, PARTICLES, POPULATION
from elbowroom.inference.evidence.bracket.forecast import Forecast
from elbowroom.inference.evidence.bracket.ledger import Ledger
from elbowroom.inference.evidence.bracket.pace import Pace
from elbowroom.inference.evidence.bracket.population import Populations, populate
from elbowroom.inference.evidence.bracket.recording import Recording
from elbowroom.inference.evidence.bracket.result import read
from elbowroom.inference.evidence.bracket.weighed_stage import WEIGHED
from elbowroom.inference.evidence.bracket.work import Work, no_value
from elbowroom.inference.mcmc import hmc
from elbowroom.inference.mcmc.expedition import explore
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.mcmc.search import Found, search
from toys.failure_budget import sigmas
from toys.programs import Ppca

D = 4
WIDE = 0.3  # of a mode's likelihood
FEW = ("importance", "population")


def ppca(num_data: int = 3, dim: int = 5, dtype: torch.dtype = torch.float64) -> tuple[Target, Tensor]:
    """A Gaussian posterior, and a mean-field guide that is off and too narrow."""
    exact = Ppca.make(10, dim, 0.7)
    x = exact.sample(num_data)
    made = Ppca(exact.weight.to(dtype), exact.mean.to(dtype), exact.sigma)

    def guide(x: Tensor) -> None:
        q = made.posterior(x)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(q.mean + 0.3, 0.5 * q.stddev).to_event(1))

    return Target(made.model, guide, x.to(dtype)), exact.evidence(x)


def two_modes(x: Tensor, share: float) -> None:
    """A likelihood with modes at ± m, of which the guide knows the one at m; its share of the posterior."""
    m = torch.full((D,), 1.5)
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(D), 1.0).to_event(1))
        heights = [math.log(s) - 0.5 * ((z - c) / WIDE).square().sum(-1) for s, c in ((share, m), (1 - share, -m))]
        pyro.factor("modes", torch.logaddexp(*heights) + 0 * x)


def in_one_mode(x: Tensor) -> None:
    shrunk = 1 / (1 + WIDE**2)
    with pyro.plate("data", len(x)):
        loc = torch.full((len(x), D), shrunk * 1.5)
        pyro.sample("z", dist.Normal(loc, WIDE * shrunk**0.5).to_event(1))


def evidence_of_modes() -> float:
    """The modes are alike but for their shares, which sum to one."""
    return float(D * math.log(WIDE / (1 + WIDE**2) ** 0.5) - 0.5 * D * 1.5**2 / (1 + WIDE**2))


def few_stages(target: Target, number: float = 1e9) -> tuple[Ledger, Pace]:
    pace = Pace(Clock(Evaluations(number)), Forecast.counted(target))
    work = Work(target, Ledger.empty(len(target)), 0, 0.1, None, pace)
    continued(work, lambda: None, only=FEW)
    return work.ledger, pace


@pytest.mark.parametrize("dim", [3, 5])
def test_gaussian_posteriors_are_settled_from_both_sides_without_chains(dim: int) -> None:
    target, truth = ppca(24, dim)
    ledger, _ = few_stages(target)
    found = read(ledger, 0.1, {})
    assert int(found.settled.sum()) >= 22, found.flags
    for b in found.settled.nonzero().flatten().tolist():
        assert found.method(b) == "population Monte Carlo"
    for side in (found.lower, found.upper):
        assert bool(((side.value - truth).abs() <= sigmas(48) * side.stderr + 1e-6).all()), (side, truth)


@pytest.mark.slow
def test_what_a_mixture_leaves_in_sixteen_latents_is_settled_by_chains() -> None:
    """There some thousand draws of it settle one datum in four, and say of the others that they do not."""
    target, truth = ppca(24, 16)
    first, whole = read(few_stages(target)[0], 0.1, {}), bracket(target, budget="2e7 evaluations")
    for found in (first, whole):
        for side in (found.lower, found.upper):
            right = (side.value - truth).abs() <= sigmas(96) * side.stderr + 1e-6
            assert bool((right | ~found.settled).all()), (side, truth)
    assert bool(first.settled.any()) and bool(whole.settled.all()), whole.flags


def test_single_precision_gives_the_same_within_its_errors() -> None:
    _, truth = ppca(4)
    torch.set_default_dtype(torch.float32)  # put back after each test
    target, _ = ppca(4, dtype=torch.float32)
    ledger, _ = few_stages(target)
    for name in POPULATION:
        column = ledger.columns[name]
        error = (column.value - truth).abs()
        assert bool((error <= sigmas(8) * column.stderr + 1e-4).all()), (error, column.stderr)


def test_chains_are_run_for_none_that_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    target, _ = ppca(6)
    settled = read(few_stages(target)[0], 0.1, {}).settled
    assert bool(settled.any())
    seen: set[int] = set()
    monkeypatch.setitem(stages.STAGES, "chains", lambda work, data, effort: seen.update(data.tolist()))
    bracket(target, budget="1e6 evaluations")
    assert seen == set((~settled).nonzero().flatten().tolist())


def test_a_mode_that_only_the_prior_knows_is_counted() -> None:
    """A guide that sits on one mode with even weights is too low by its share; both sides have the other one, too."""
    ledger, _ = few_stages(Target(partial(two_modes, share=0.5), in_one_mode, torch.zeros(8)))
    guides = ledger.columns["importance"]
    assert bool(((guides.value - evidence_of_modes() - math.log(0.5)).abs() < 1e-3).all())
    for name in POPULATION:
        column = ledger.columns[name]
        error = (column.value - evidence_of_modes()).abs()
        assert bool((error <= sigmas(16) * column.stderr + 1e-6).all()), (error, column.stderr)
    assert all("misses a part" in note for note in read(ledger, 0.1, {}).notes)


@pytest.mark.slow
def test_a_tenth_that_only_the_prior_knows_is_counted_and_told() -> None:
    target = Target(partial(two_modes, share=0.9), in_one_mode, torch.zeros(8))
    found = bracket(target, budget="1e7 evaluations")
    assert bool(found.settled.all()) and all("misses a part" in note for note in found.notes)
    for side in (found.lower, found.upper):
        error = (side.value - evidence_of_modes()).abs()
        assert bool((error <= sigmas(16) * side.stderr + 1e-6).all()), (error, side.stderr)


def test_a_prior_that_cannot_be_drawn_from_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    target, _ = ppca(2)

    def not_drawn(*args: object, **kwargs: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(Target, "sample_prior", not_drawn)
    ledger, _ = few_stages(target)
    assert all("cannot be drawn from" in flag for name in POPULATION for flag in ledger.columns[name].flags)


def test_what_is_counted_is_what_was_forecast() -> None:
    target, _ = ppca()
    _, pace = few_stages(target)
    for step in FEW:
        assert 0.6 < pace.cost(step, 3) / pace.forecast.cost(step, 3, 1.0) < 1.1, step


def test_no_room_for_it_is_no_answer() -> None:
    """All of it or nothing: it is not begun where it does not fit."""
    target, _ = ppca()
    ledger, pace = few_stages(target, number=20_000)
    assert POPULATION[0] not in ledger.columns and pace.clock.spent <= 20_000


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(("stage", "dim"), [("population", 5), ("refined", 18)])
def test_chains_that_were_given_come_first(stage: str, dim: int, given: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    target, _ = ppca(dim=dim)
    seen: list[str] = []

    def weighed(work: Work, rows: Tensor, effort: float) -> None:
        seen.append(stage)
        for name in WEIGHED[stage].columns:
            work.ledger.put(name, rows, Estimate(torch.zeros(len(rows)), torch.ones(len(rows)), "none"))

    monkeypatch.setitem(stages.STAGES, stage, weighed)
    monkeypatch.setitem(stages.STAGES, "chains", lambda *_: seen.append("chains"))
    pace = Pace(Clock(Evaluations(3e5)), Forecast.counted(target))
    draws = cast(Draws, object()) if given else None
    work = Work(target, Ledger.empty(len(target)), 0, 0.1, None, pace, draws)
    continued(work, lambda: None, only=("importance", stage, "chains"))
    assert (stage in seen) is not given and "chains" in seen


@pytest.mark.parametrize("dim", [1, 2, 3, 16, 17, 128, 129])
def test_which_latents_are_answered_by_which_stage(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = stages.stages_of(ppca(1, dim)[0])
    assert ("population" in names) is (3 <= dim <= 16) and ("refined" in names) is (17 <= dim <= 128)


def found(target: Target) -> Populations:
    return populate(Recording.of(target), 0, None)


def test_a_datum_has_its_proposal_alone_as_in_company() -> None:
    target, _ = ppca(3)
    every, one = found(target), found(target.select([1]))
    some = every.select(torch.tensor([1]))
    alone = RandomNumbers(target.select([1]), 0)
    draws = [each.proposal(slice(0, 1), "test")(alone, 50, 0) for each in (one, some)]
    for mine, theirs in zip(*draws, strict=True):
        torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(every.opinion.value[1:2], one.opinion.value)
    torch.testing.assert_close(some.opinion.info["ess"], one.opinion.info["ess"])


def test_what_the_particles_found_beyond_it_is_told() -> None:
    """More than it by more than chance, or more modes than may all have been seen; few effective points are a note."""
    made = found(ppca(3)[0])
    info = {**made.opinion.info, "ess": torch.tensor([3000.0, 3000.0, 30.0]), "is_crowded": torch.tensor([0, 1, 0]) > 0}
    opinion = Estimate(torch.tensor([0.5, 0.0, 0.0]), torch.full((3,), 0.02), "lower", info)
    lower = Estimate(torch.zeros(3), torch.full((3,), 0.01), "lower")
    told = replace(made, opinion=opinion).doubts(lower)
    assert "a part of the posterior is missing here" in told[0] and "so many modes" in told[1] and told[2] == ""
    notes = replace(made, opinion=opinion).looked()[1]
    assert notes[:2] == ("", "") and "30 effective points" in notes[2]


def test_what_was_found_from_the_prior_stays_in_the_ledger() -> None:
    """As an opinion of its own that later stages are held against; particles that are all accounted for say nothing."""
    ledger, _ = few_stages(ppca(3)[0])
    column = ledger.columns[EXPEDITION]
    assert bool(column.value.isfinite().all()) and column.flags == [""] * 3
    assert ledger.columns[PARTICLES].flags == [""] * 3


def test_particles_that_nothing_accounts_for_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that finds nothing but the guide's mode is contradicted by those that go their own ways."""

    def guides(coordinates: Any, log_joint: Any, numbers: Any, *, path: Path, **kwargs: Any) -> Found:
        found = search(coordinates, log_joint, numbers, start="guide", num_chains=1)
        seen = explore(path, numbers, log_joint)
        return replace(found, expedition=replace(seen, heard=torch.zeros_like(seen.heard)))

    monkeypatch.setattr(population, "search", guides)
    ledger, _ = few_stages(Target(partial(two_modes, share=0.5), in_one_mode, torch.zeros(4)))
    found = read(ledger, 0.1, {})
    assert not bool(found.settled.any())
    assert all("particles from the prior ended where the proposal hardly reaches" in flag for flag in found.flags)


@pytest.mark.parametrize(("start", "told"), [("both", False), ("guide", True)])
def test_particles_are_accounted_for_by_chains_that_have_been_there(start: str, told: bool) -> None:
    """Told of a proposal in one of two modes; chains from the prior, too, are in both, chains from the guide in one."""
    target = Target(partial(two_modes, share=0.5), in_one_mode, torch.zeros(4))
    work = Work(target, Ledger.empty(4), 0, 0.1, None, Pace(Clock(Evaluations(1e9)), Forecast.counted(target)))
    data = torch.arange(1, 4)
    work.ledger.put(PARTICLES, torch.arange(4), no_value(4), ("", "9 of 64", "", "9 of 64"))
    value = evidence_of_modes() + (math.log(0.5) if told else 0.0)
    work.ledger.put("adapted importance", data, Estimate(torch.full((3,), value), torch.full((3,), 0.01), "lower"))
    draws = hmc(target.select(data), num_chains=2, num_warmup=50, num_draws=100, start=start)
    account(work, data, draws, "adapted importance")
    flags = work.ledger.columns[PARTICLES].flags
    assert (flags[0], flags[2]) == ("", "")
    assert ["hardly reaches" in flags[b] for b in (1, 3)] == [told] * 2 and bool(flags[1]) is told


def test_whether_some_data_are_settled_does_not_depend_on_the_others() -> None:
    target, _ = ppca(5)
    ledger, pace = few_stages(target)
    ledger.columns[POPULATION[0]].flags[3] = "not believed"
    work = Work(target, ledger, 0, 0.1, None, pace)
    every = work.is_settled(torch.arange(5))
    assert bool(every.any()) and not bool(every[3])
    for rows in ([3], [4, 0], [2, 3, 1]):
        assert torch.equal(work.is_settled(torch.tensor(rows)), every[rows])
