"""What a bridge says of its own error: Monte Carlo error and tail of both means, and blocks of the draws dealt anew."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Draws, Target, hmc, weights
from elbowroom.inference.evidence.bridge.bridge import bridge
from elbowroom.inference.evidence.bridge.exchange import blocks, disagreement, splits
from elbowroom.inference.evidence.bridge.fixed_point import optimal_bridge
from elbowroom.inference.evidence.bridge.tails import UNSEEN_LIMIT, heavy, tails
from elbowroom.reference import problem
from toys.failure_budget import accidents, sigmas
from toys.programs import data, normal_evidence, normal_guide, normal_model


def packed(target: Target, z: Tensor, num_chains: int = 4) -> Draws:
    """Independent draws `[S, B]` in the place of a sampler's."""
    chains = z.unflatten(0, (num_chains, -1))
    return Draws({"z": chains}, target.latent_names, {"diverging": torch.zeros_like(chains, dtype=torch.bool)}, {})


def exact(x: Tensor, size: int) -> Tensor:
    """Draws of p(z | x) of the conjugate model, `[size, B]`."""
    return x / 2 + math.sqrt(0.5) * data(size, len(x), seed=3)


# Exchanges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_draws", [8, 9, 32, 101])
def test_the_first_split_is_the_estimates_own_and_pairs_share_nothing(num_draws: int) -> None:
    cut = blocks(num_draws)
    assert [i for block in cut for i in range(num_draws)[block]] == list(range(num_draws))
    found = splits(3, num_draws)
    assert len(found) == (6 if num_draws >= 32 else 2) and splits(0, num_draws) == []
    own = [i for block in found[0][1] for i in range(num_draws)[cut[block]]]
    assert own == list(range(num_draws // 2, num_draws))
    for (fitted, bridged), (back, forth) in zip(found[::2], found[1::2], strict=True):
        assert fitted == forth and bridged == back and {*fitted, *bridged} == {0, 1, 2, 3}
    assert len({frozenset(bridged) for _, bridged in found}) == len(found)


def test_disagreement_with_the_numbers_put_in() -> None:
    log_r = torch.tensor(
        [[1.0, 0.0, 0.0, 0.0], [1.5, 0.01, 0.0, 0.0], [1.0, 0.0, torch.nan, 0.0], [0.6, 0.0, 0.0, 0.0]]
    )
    stderr = torch.tensor([[0.3], [0.4], [0.06], [0.08]]).expand(4, 4).clone()
    stderr[:, 3] = 0.0
    most, mean = disagreement(log_r, stderr)
    assert most.tolist() == pytest.approx([4.0, 0.02, math.inf, 0.0])
    assert mean[0].item() == pytest.approx(math.sqrt((1 + 16) / 2)) and mean[3].item() == 0.0
    tiny, _ = disagreement(torch.tensor([[0.0], [0.01]]), torch.full((2, 1), 1e-6))
    assert tiny.item() == 1.0  # equal for any purpose


def test_exchanged_halves_differ_by_the_errors_that_they_report() -> None:
    """200 data: the squares of the standardised differences have mean one, and none is flagged."""
    x = data(200) * math.sqrt(2.0)
    target = Target(normal_model, normal_guide(0.8), x)
    draws = packed(target, exact(x, 800))
    estimate = bridge(target, draws, proposal="gaussian", num_exchanges=3)
    exchanged = estimate.info["exchanged"]
    assert exchanged.shape == (6, 200) and torch.equal(exchanged[0], estimate.value)
    apart = exchanged[0] - exchanged[1]
    assert apart.std() > 0.7 * math.sqrt(2) * estimate.stderr.mean()
    mean = estimate.info["exchange_ratio"].square().mean()
    assert abs(mean - 1) < sigmas() * math.sqrt(2 / 200)
    assert sum("exchanged" in flag for flag in estimate.flags) <= accidents(600, 1e-4)
    alone = bridge(target, draws, proposal="gaussian", num_exchanges=0)
    assert torch.equal(alone.value, estimate.value) and torch.equal(alone.stderr, estimate.stderr)
    assert bool(alone.info["exchange_ratio"].isnan().all()) and alone.info["exchanged"].shape == (1, 200)
    assert (alone.info["num_evaluations"], estimate.info["num_evaluations"]) == (800, 800 + 3 * 800)


def test_halves_that_are_not_of_one_posterior_are_flagged_with_the_larger_error() -> None:
    """Chains that hardly move in their second half: no term of either mean shows it."""
    x = data(6)
    target = Target(normal_model, normal_guide(0.8), x)
    z = exact(x, 1600).unflatten(0, (4, -1))
    z[:, 200:] = x / 2 + 0.1 * (z[:, 200:] - x / 2)
    estimate = bridge(target, packed(target, z.flatten(0, 1)), proposal="guide")
    error = (estimate.value - normal_evidence(x)).abs()
    assert all("exchanged blocks of the draws give estimates" in flag for flag in estimate.flags)
    formula = (estimate.info["proposal_stderr"].square() + estimate.info["posterior_stderr"].square()).sqrt()
    torch.testing.assert_close(estimate.stderr, formula * estimate.info["exchange_ratio"])
    assert bool((error > 10 * formula).all()) and bool((error < 3 * estimate.stderr).all())


# Terms ---------------------------------------------------------------------------------------------------------------


def test_tails_with_the_numbers_put_in() -> None:
    posterior, other, effective = data(300, 3) + 1, data(200, 3, seed=2) - 1, torch.tensor([300.0, 100.0, 10.0])
    log_r, _, _ = optimal_bridge(posterior, other, effective)
    ess = torch.tensor([250.0, 200.0, 100.0])
    found = tails(posterior, other, log_r=log_r, effective=effective, ess=ess)
    share = effective / (effective + 200)
    u, v = (posterior - log_r).exp(), (other - log_r).exp()
    above, below = v / (share * v + 1 - share), 1 / (share * u + 1 - share)
    torch.testing.assert_close(found.proposal_k, weights.pareto_k(above.log()))
    torch.testing.assert_close(found.posterior_k, weights.pareto_k(below.log()))
    assert bool((above < 1 / share).all()) and bool((below < 1 / (1 - share)).all())
    torch.testing.assert_close(found.proposal_unseen, 3 / 200 / share / above.mean(0))
    torch.testing.assert_close(found.posterior_unseen, 3 / ess / (1 - share) / below.mean(0))


@pytest.mark.parametrize(
    ("k", "unseen", "flagged"),
    [(0.9, 0.2, True), (0.9, 0.01, False), (0.6, 0.2, False), (-math.inf, 0.2, False), (math.nan, 0.2, False)],
)
def test_a_heavy_tail_counts_where_it_can_hide_something(k: float, unseen: float, flagged: bool) -> None:
    assert bool(heavy("proposal's", k, unseen)) == flagged
    assert UNSEEN_LIMIT == 0.05


def test_samples_that_hardly_overlap_are_flagged_and_others_not() -> None:
    x = data(40)
    for shift, share in ((0.0, 0.0), (3.0, 1.0)):

        def guide(x: Tensor, shift: float = shift) -> None:
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(x / 2 + shift, 0.5))

        target = Target(normal_model, guide, x)
        estimate = bridge(target, packed(target, exact(x, 1000)), proposal="guide")
        said = sum("hardly overlap" in flag or "relative error" in flag for flag in estimate.flags) / 40
        assert said == pytest.approx(share, abs=0.05)
        assert bool((estimate.info["proposal_unseen"] > UNSEEN_LIMIT).all()) == bool(share)


def test_an_exact_proposal_has_constant_terms() -> None:
    x = data(4)
    target = Target(normal_model, normal_guide(1.0), x)
    estimate = bridge(target, packed(target, exact(x, 400)), proposal="guide")
    assert estimate.info["proposal_k"].tolist() == estimate.info["posterior_k"].tolist() == [-math.inf] * 4
    assert not any("exchanged" in flag or "Pareto" in flag for flag in estimate.flags)
    torch.testing.assert_close(estimate.value, normal_evidence(x), rtol=1e-9, atol=1e-9)


def test_the_two_errors_make_up_the_estimates() -> None:
    reference = problem("modes")
    target = reference.target()
    draws = hmc(target, num_warmup=50, num_draws=100, seed=1)
    estimate = bridge(target, draws)
    info = estimate.info
    total = info["proposal_stderr"].square() + info["posterior_stderr"].square()
    torch.testing.assert_close(info["proposal_share"], info["proposal_stderr"].square() / total)
    torch.testing.assert_close(info["proposal_share"] + info["posterior_share"], torch.ones(4))
    clean = torch.tensor(["exchanged" not in flag for flag in estimate.flags])
    torch.testing.assert_close(estimate.stderr[clean], total.sqrt()[clean])


def test_bad_numbers_of_exchanges() -> None:
    target = Target(normal_model, normal_guide(0.8), data(2))
    for number, words in ((-1, "be an integer from 0"), (4, "lie in 0 … 3")):
        with pytest.raises(ValueError, match=rf"num_exchanges must {words}.*, got {number}"):
            bridge(target, packed(target, exact(data(2), 80)), num_exchanges=number)


# Intervals -----------------------------------------------------------------------------------------------------------

REPETITIONS = 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "conjugate-normal-0.7",
        "correlated-gaussian-0.6",
        "mixture",
        "modes",
        "student-prior-1-1",
        "student-likelihood-1-1",
        "gamma-poisson",
        "two-modes-2-large",
        "dirichlet-multinomial",
    ],
)
def test_intervals_cover(name: str) -> None:
    """A datum that stands 200 times in the data has noise of its own each time: 200 repetitions."""
    reference = problem(name)
    rows = torch.zeros(REPETITIONS, dtype=torch.long)
    args = tuple(a[rows] for a in reference.args)
    target = Target(reference.model, reference.guide, *args, plate=reference.plate)
    estimate = bridge(target, hmc(target, num_draws=250, seed=1))
    clean = torch.tensor([not flag for flag in estimate.flags])
    z = ((estimate.value - reference.log_evidence[0]) / estimate.stderr)[clean]
    missed = int((z.abs() > 1.96).sum())
    assert len(z) > REPETITIONS / 2 and missed <= accidents(len(z), 0.08, 9)
    assert z.square().mean() > 1 - sigmas(9) * math.sqrt(2 / len(z))  # nor are they too wide
