"""Draws of a frozen kernel: jumps and HMC moves leave the target exactly as it is, for every schedule."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor

from elbowroom.inference import Evaluations, Target, hmc
from elbowroom.inference.evaluation.clock import Clock, Spent
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.recorded_densities import Densities
from elbowroom.inference.mcmc import sampling
from elbowroom.inference.mcmc.jumps import Proposals, State, jump
from elbowroom.inference.mcmc.leapfrog import evaluate
from elbowroom.inference.mcmc.mixture import Mixture
from elbowroom.inference.mcmc.moves import SELDOM, Moves, Schedule
from elbowroom.inference.mcmc.sampling import LEAST_DRAWS, Chains, Info, sample, stretch
from elbowroom.inference.mcmc.trajectory import halton
from elbowroom.inference.mcmc.transition import Kernel
from elbowroom.inference.mcmc.warmup import Tuned
from elbowroom.inference.programs.evaluations import total
from elbowroom.models import VAE
from toys.failure_budget import BUDGET, sigmas
from toys.programs import data, gamma_guide, gamma_model, normal_guide, normal_model

MANY = 4000


def conjugate(num_data: int = 3) -> tuple[Target, Tensor]:
    """The target N(x/2, ½) and chains that start in it, `[C, B, 1]`."""
    x = data(num_data)
    return Target(normal_model, normal_guide(0.9), x), x[:, None] / 2 + math.sqrt(0.5) * data(
        MANY, num_data, 1, seed=12
    )


def tuned_at(
    target: Target,
    start: Tensor,
    acceptance: float = 0.5,
    easy: Tensor | None = None,
    step: float = 1.1,
    points: Tensor | None = None,
) -> tuple[Densities, Tuned]:
    """A kernel with a big step and a proposal that is off by a shift and a scale."""
    coordinates = Coordinates.of(target)
    densities = Densities.of(coordinates, 1 << 15)
    num_chains, num_data, dim = start.shape
    if points is None:
        points = start[:512] * 1.6 + 0.4
    kernel = Kernel(
        torch.full((num_chains, num_data), step), torch.full((num_data,), 2.0), torch.ones(num_data, dim), 5
    )
    zero = torch.zeros(num_data)
    return densities, Tuned(
        kernel=kernel,
        mixture=Mixture.fit(points),
        acceptance=zero + acceptance,
        easy=torch.zeros(num_data, dtype=torch.bool) if easy is None else easy,
        point=evaluate(densities.gradient, start),
        gradients=zero,
        evaluations=zero,
    )


def run(densities: Densities, tuned: Tuned, num_draws: int, seed: int = 1) -> Chains:
    target = densities.coordinates.target
    return sample(densities, tuned, RandomNumbers(target, seed), num_draws, lambda _: None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("acceptance", "easy"),
    [
        (0.5, False),
        (0.4, True),
        *(pytest.param(*c, marks=pytest.mark.slow) for c in ((0.1, False), (0.9, True), (0.0, False))),
    ],
    ids=str,
)
def test_chains_that_start_in_the_target_stay_in_it(acceptance: float, easy: bool) -> None:
    """Many chains, one draw each after the burn-in: any wrong acceptance rule moves the distribution."""
    target, start = conjugate()
    densities, tuned = tuned_at(target, start, acceptance, torch.tensor([easy] * 3))
    chains = run(densities, tuned, 2)
    z = (chains.u[-1, :, :, 0] - target.args[0] / 2) / math.sqrt(0.5)  # [C, B]
    for b in range(3):
        assert stats.kstest(z[:, b].numpy(), "norm").pvalue > BUDGET / 15
    assert (z.mean(0) * math.sqrt(MANY)).abs().max() < sigmas(15)
    assert ((z.square().mean(0) - 1) * math.sqrt(MANY / 2)).abs().max() < sigmas(15)
    rate = chains.stats["acceptance_rate"].mean()
    assert 0.2 < rate < 0.97  # proposals are refused at times
    moved = (chains.u[1] != chains.u[0]).double().mean()
    assert moved > 0.3 if acceptance > 0 or not easy else True


@pytest.mark.slow
def test_a_constrained_target_stays_what_it_is() -> None:
    """Gamma posteriors in log coordinates, and a proposal that is far too narrow and off."""
    x = torch.tensor([0.0, 3.0, 20.0])
    target = Target(gamma_model, gamma_guide, x)
    torch.manual_seed(3)
    exact = torch.distributions.Gamma(2 + x, torch.full((3,), 1.5))
    start = exact.sample((MANY,)).log().unsqueeze(-1)
    points = start.mean(0) + 0.3 + 0.8 * (start[:512] - start.mean(0))
    densities, tuned = tuned_at(target, start, 0.2, torch.tensor([False, True, False]), step=0.3, points=points)
    z = run(densities, tuned, 2).u[-1, :, :, 0].exp()
    for b in range(3):
        cdf = stats.gamma(float(2 + x[b]), scale=1 / 1.5).cdf
        assert stats.kstest(z[:, b].numpy(), cdf).pvalue > BUDGET / 3


def test_statistics_are_those_of_the_draws() -> None:
    target, start = conjugate(4)
    easy = torch.tensor([True, False, True, False])
    densities, tuned = tuned_at(target, start[:6], easy=easy)
    tuned = replace(tuned, acceptance=torch.where(easy, 0.7, 0.1))  # the others move at every draw
    chains = run(densities, tuned, 40)
    log_p, _ = densities.gradient(chains.u.flatten(0, 1))
    torch.testing.assert_close(chains.stats["lp"].flatten(0, 1), log_p)
    steps = chains.stats["n_steps"]
    assert bool((steps[:, :, ~easy] > 0).all())
    due = (torch.arange(40) + sampling.BURN_IN) % SELDOM == 0
    assert torch.equal(steps[:, 0, 0] > 0, due) and torch.equal(steps[:, 0, 2] > 0, due)
    # ⌈j · 2 / 1.1⌉ leapfrog steps for jitters j in (0, 1), and the gradient where they begin.
    assert sorted(set(steps[:, :, ~easy].flatten().tolist())) == [2, 3]
    before = chains.stats["lp"][:-1]
    kinetic = chains.stats["energy"][1:] + before
    assert kinetic.min() > 0  # the energy is that of the draw before with the momentum drawn afresh
    assert abs(kinetic.mean() - 0.5) < sigmas() * math.sqrt(0.5 / kinetic.numel())
    torch.testing.assert_close(chains.stats["step_size"], tuned.kernel.step_size.expand(40, -1, -1))


def test_acceptance_rate_is_of_the_hmc_move_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    target, start = conjugate(3)
    densities, tuned = tuned_at(target, start[:6], 0.7, torch.tensor([True, False, True]))

    def none(state: State, proposals: Proposals, _: Tensor) -> tuple[State, Tensor]:
        num_draws = proposals.log_uniform.shape[1]
        still = State(*(value.expand(num_draws, *value.shape) for value in state))
        return still, torch.full_like(still.log_p, 9.0)

    monkeypatch.setattr(sampling, "jump", none)
    stats = run(densities, tuned, 40).stats
    assert torch.equal(stats["acceptance_rate"] == 9.0, stats["n_steps"] == 0)


def steps(densities: Densities, tuned: Tuned, num_draws: int, seed: int = 1) -> Iterator[tuple[State, State, Info]]:
    """State before, state after and info of the first draws, those that are thrown away included, one by one."""
    moves, numbers = Moves.of(densities, tuned), RandomNumbers(densities.coordinates.target, seed)
    u, log_p = tuned.point.u, tuned.point.log_p
    state = State(u, log_p, log_p - tuned.mixture.log_density(u))
    for begin, random in sampling._randomness(densities, tuned, numbers, moves.schedule, num_draws):
        for n in range(len(random.uniform)):
            before = state
            states, info = stretch(state, random.of_draws(n, n + 1), moves, begin + n)
            state = states.of_draw(0)
            yield before, state, Info(*(value[0] for value in info))


def test_jumps_weigh_the_place_that_an_hmc_move_has_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """After every move the log weight kept is that of where the chain is; a stale one would let it jump too often."""
    target, start = conjugate(3)
    densities, tuned = tuned_at(target, start[:50], 0.5, torch.tensor([True, False, False]))
    wrong = []

    def weigh(state: State) -> None:
        log_p = densities.log_joint(state.u)
        wrong.append((state.log_p - log_p).abs().max())
        wrong.append((state.log_w - log_p + tuned.mixture.log_density(state.u)).abs().max())

    def spy(state: State, proposals: Proposals, tries: Tensor) -> tuple[State, Tensor]:
        weigh(state)
        return jump(state, proposals, tries)

    monkeypatch.setattr(sampling, "jump", spy)
    for _, state, _ in steps(densities, tuned, 40):
        weigh(state)
    assert len(wrong) == 4 * 40 and torch.stack(wrong).max() < 1e-10


def test_a_step_changes_nothing_that_it_is_given() -> None:
    """Steps are pure: neither a state nor an info changes once it has been returned."""
    target, start = conjugate(3)
    densities, tuned = tuned_at(target, start[:6], 0.3, torch.tensor([True, False, True]))
    copies, stored = [], []
    for before, state, info in steps(densities, tuned, 20):
        stored.append((before, state, info))
        copies.append([[t.clone() for t in part] for part in (before, state, info)])
    for parts, kept in zip(stored, copies, strict=True):
        for part, copied in zip(parts, kept, strict=True):
            assert all(torch.equal(t, c) for t, c in zip(part, copied, strict=True))
    moves = [(info.n_steps > 0).any(0).tolist() for _, _, info in stored]
    assert moves[0] == [True] * 3 and moves[1] == [False, True, False]


def test_the_loop_keeps_what_the_steps_return() -> None:
    target, start = conjugate(3)
    densities, tuned = tuned_at(target, start[:6], 0.3, torch.tensor([True, False, True]))
    chains = run(densities, tuned, 9)
    late = list(steps(densities, tuned, sampling.BURN_IN + 9))[sampling.BURN_IN :]
    assert torch.equal(chains.u, torch.stack([state.u for _, state, _ in late]))
    assert set(chains.stats) == {*Info._fields, "step_size"}
    for name in Info._fields:
        assert torch.equal(chains.stats[name], torch.stack([getattr(info, name) for _, _, info in late]))


@pytest.mark.slow
def test_tries_are_each_datums_own() -> None:
    """A datum has as many jumps in a draw as its schedule says, whatever the others have."""
    target, start = conjugate(3)
    densities, tuned = tuned_at(target, start[:40])
    mixed = replace(tuned, acceptance=torch.tensor([0.9, 0.5, 0.1]))
    together = run(densities, mixed, 30).u
    for b in range(3):
        same = replace(tuned, acceptance=mixed.acceptance[[b]].expand(3))
        torch.testing.assert_close(run(densities, same, 30).u[:, :, b], together[:, :, b], rtol=1e-9, atol=1e-9)
    only = replace(mixed, easy=torch.ones(3, dtype=torch.bool), acceptance=torch.tensor([0.9, 0.5, 0.1]))
    moved = (run(densities, only, 200).u.diff(dim=0) != 0).double().mean((0, 1, 3))
    assert moved[0] < moved[1] < moved[2]


def test_draws_of_a_datum_do_not_depend_on_whether_others_are_easy() -> None:
    target, start = conjugate(3)
    densities, tuned = tuned_at(target, start[:4], 0.0)
    alone = run(densities, tuned, 40).u
    mixed = replace(tuned, easy=torch.tensor([False, True, False]), acceptance=torch.tensor([0.0, 0.7, 0.0]))
    together = run(densities, mixed, 40).u
    torch.testing.assert_close(together[:, :, [0, 2]], alone[:, :, [0, 2]], rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_draws_do_not_depend_on_how_they_are_cut_into_blocks() -> None:
    target, start = conjugate(3)
    densities, tuned = tuned_at(target, start[:4], 0.4, torch.tensor([True, False, False]))
    whole = run(densities, tuned, 50)
    for cells in (24, 130):
        cut = run(replace(densities, cells=cells), tuned, 50)
        torch.testing.assert_close(cut.u, whole.u, rtol=1e-9, atol=1e-9)
    longer = run(densities, tuned, 70)
    torch.testing.assert_close(longer.u[:50], whole.u, rtol=1e-9, atol=1e-9)


def test_proposals_of_no_probability_are_refused_and_any_other_accepted_from_there() -> None:
    shape = (2, 1, 4, 3)  # tries, draws, chains, data
    bad = torch.full(shape, -math.inf)
    proposals = Proposals(State(data(*shape, 1), bad, bad), torch.full(shape, -0.1))
    state = State(data(4, 3, 1, seed=3), torch.zeros(4, 3), torch.zeros(4, 3))
    two = torch.full((3,), 2)
    for start in (state, State(state.u, bad[0, 0], bad[0, 0])):
        after, acceptance = jump(start, proposals, two)
        assert bool((acceptance == 0).all()) and torch.equal(after.u[0], state.u)
    good = State(proposals.state.u, torch.ones(shape), torch.zeros(shape))
    lost = State(state.u, bad[0, 0], bad[0, 0])
    after, acceptance = jump(lost, Proposals(good, torch.full(shape, -1e-9)), torch.full((3,), 1))
    assert bool((acceptance == 1).all())
    assert torch.equal(after.u, good.u[0]) and bool((after.log_p == 1).all())


def test_schedule() -> None:
    acceptance = torch.tensor([0.0, 0.02, 0.34, 0.35, 0.49, 0.5, 0.59, 0.6, 0.7, 0.7, 1.0])
    easy = torch.tensor([False] * 9 + [True] * 2)
    schedule = Schedule.of(acceptance, easy)
    assert schedule.tries.tolist() == [0, 4, 4, 2, 2, 2, 2, 2, 1, 1, 1]
    assert schedule.period.tolist() == [1, 1, 1, 1, 1, 2, 2, 2, 8, 16, 16]
    moves = [index for index in range(400) if index % 16 == 0]
    jitters = torch.stack([schedule.jitter(index) for index in moves])
    assert jitters[:, -1].tolist() == [halton(n) for n in range(25)]  # each datum goes through its own sequence
    assert jitters[:, 0].tolist() == [halton(index) for index in moves]


@pytest.mark.slow
def test_densities_of_some_rows_are_those_of_the_whole() -> None:
    torch.manual_seed(0)
    for num_data in (3, 20):
        target = Target(VAE(6, 2, (8,)), _guide(), (data(num_data, 6) > 0).double())
        densities = Densities.of(Coordinates.of(target), 1 << 12)
        u = data(4, num_data, 2)
        value, gradient = densities.gradient(u)
        torch.testing.assert_close(densities.log_joint(u), value)
        for rows in ([0], [num_data - 1, 0], [2, 1, 0], list(range(0, num_data, 2)), list(range(num_data))):
            index = torch.tensor(rows)
            found = densities.on(index)(u[:, index])
            torch.testing.assert_close(found[0], value[:, index])
            torch.testing.assert_close(found[1], gradient[:, index])
        small = replace(densities, cells=2 * num_data + 1)  # slices of two samples, the last made up
        long = data(7, num_data, 2)
        torch.testing.assert_close(small.log_joint(long), densities.log_joint(long))
        assert small.slice_of(num_data) == 2


@pytest.mark.slow
def test_where_a_budget_ends_the_draws_that_were_made_are_kept() -> None:
    """They are the first draws of the chains that had run to their end, to the bit; too few of them are none."""
    target = Target(VAE(6, 2, (8,)), _guide(), (data(1, 6) > 0).double())
    options: dict[str, Any] = {"num_chains": 2, "num_warmup": 8, "num_draws": 200, "jumps": False, "start": "guide"}
    before = total()
    whole = hmc(target, **options)
    cost = total() - before
    with Clock(Evaluations(0.8 * cost)).until():
        cut = hmc(target, **options)
    kept = cut.z["z"].shape[1]
    assert LEAST_DRAWS <= kept < 200
    assert torch.equal(cut.z["z"], whole.z["z"][:, :kept])
    for name, value in cut.stats.items():
        assert torch.equal(value, whole.stats[name][:, :kept])
    clock = Clock(Evaluations(0.3 * cost))
    with pytest.raises(Spent), clock.until():
        hmc(target, **options)


def _guide() -> torch.nn.Module:
    from elbowroom.guides import AmortizedNormal

    return AmortizedNormal(6, 2, (8,))
