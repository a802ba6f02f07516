"""Programs that cannot be cut: some of their data are answered by evaluating all, and picking."""

import math
from collections.abc import Iterator

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

from elbowroom.inference import (
    ProgramError,
    Target,
    audit,
    bracket,
    decompose,
    hmc,
    importance,
    quadrature,
)
from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.recorded import Traced, log_joint_and_gradient
from toys.programs import data, normal

HITS = torch.tensor([18.0, 17.0, 14.0, 10.0, 10.0, 7.0], dtype=torch.float64)
EVIDENCE = -math.log(46.0)  # of any number of hits in 45, under a uniform prior


def players(hits: Tensor) -> None:
    with pyro.plate("players", len(hits)):
        p = pyro.sample("p", dist.Uniform(0.0, 1.0))
        pyro.sample("x", dist.Binomial(45, p), obs=hits)


@pytest.fixture
def target() -> Iterator[Target]:
    """A guide that Pyro makes: it holds a parameter for each datum, so the data cannot be cut."""
    pyro.set_rng_seed(0)
    guide = AutoNormal(players)
    guide(HITS)
    yield Target(players, guide, HITS, plate="players")
    pyro.clear_param_store()


def test_picked_data_have_the_terms_of_the_whole(target: Target) -> None:
    rows = [4, 0, 4, 4]
    some = target.select(rows)
    assert not some.sliceable and len(some) == 4
    z, log_q = target.propose(3)
    z_some, log_q_some = some.propose(3)
    torch.testing.assert_close(z_some["p"], z["p"][:, rows], rtol=0.0, atol=0.0)
    torch.testing.assert_close(log_q_some, log_q[:, rows])
    torch.testing.assert_close(some.log_guide(z_some), log_q[:, rows])
    moved = {"p": torch.rand(3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)}
    prior, likelihood = some.log_joint(moved)
    expected = dist.Binomial(45, moved["p"]).log_prob(HITS[rows])  # each its own, repeats too
    torch.testing.assert_close(likelihood, expected)
    assert torch.equal(prior, torch.zeros(3, 4, dtype=torch.float64))
    again = some.select([3, 1])
    torch.testing.assert_close(again.propose(3)[0]["p"], z["p"][:, [4, 0]], rtol=0.0, atol=0.0)


def test_gradients_and_records_of_picked_data(target: Target) -> None:
    u = data(3, 2, 1)
    for rows in ([4, 1], [5, 0]):  # records are shared by targets, not by picks
        some, want = Coordinates.of(target).at(torch.tensor(rows)), torch.zeros(3, 6, 1, dtype=torch.float64)
        want[:, rows] = u
        value, gradient = Traced(log_joint_and_gradient, some)(u)
        every, every_gradient = log_joint_and_gradient(Coordinates.of(target), want)
        torch.testing.assert_close(value, every[:, rows])
        torch.testing.assert_close(gradient, every_gradient[:, rows])
        traced, other = Traced(log_joint_and_gradient, some), Traced(log_joint_and_gradient, some)
        torch.testing.assert_close(traced(u)[0], other(u + 0.0)[0])


@pytest.mark.slow
def test_estimators_answer_all_data(target: Target) -> None:
    for value in (quadrature(target).value, quadrature(target.select([5, 2])).value):
        torch.testing.assert_close(value, torch.full_like(value, EVIDENCE), rtol=0.0, atol=1e-6)
    both = bracket(target, budget=20.0)
    assert both.settled.all()
    for side in (both.lower, both.upper):
        assert ((side.value - EVIDENCE).abs() <= 4 * side.stderr + 1e-6).all()
    one = importance(target.select([5]), num_samples=2000)
    every = importance(target, num_samples=2000)
    torch.testing.assert_close(one.value, every.value[5:])
    few = target.select([5, 2])
    room = decompose(few, log_p=quadrature(few), families=["mean-field"], num_samples=256)
    for rung in room.ladder.values():
        assert (rung.value <= EVIDENCE + 4 * rung.stderr).all()
    error = torch.hypot(room.elbo.stderr, every.info["elbo_stderr"][[5, 2]])
    assert ((room.elbo.value - every.info["elbo"][[5, 2]]).abs() <= 4 * error).all()


@pytest.mark.slow
def test_the_evidence_of_their_refined_members(target: Target) -> None:
    room = decompose(target.select([5, 2]))
    assert ((room.log_p.value - EVIDENCE).abs() <= 4 * room.log_p.stderr + 1e-3).all()


@pytest.mark.slow
def test_an_audit_of_them_keeps_its_data_in_order(target: Target) -> None:
    """The examination takes the worst first; each datum's numbers are its own."""
    result = audit(players, target.guide, HITS, plate="players", budget="1e6 evaluations")
    assert result.decomposition is not None and sorted(result.rows["decomposition"]) == list(range(6))
    expected = importance(target, num_samples=20_000).info["elbo"][list(result.rows["decomposition"])]
    assert (expected.max() - expected.min()) > 0.5  # else the order would not matter
    torch.testing.assert_close(result.decomposition.elbo.value, expected, rtol=0.0, atol=0.2)


def test_pyros_samplers_cannot_be_given_some(target: Target) -> None:
    with pytest.raises(ProgramError, match="plate 'players' keeps its size 6"):
        target.select([1]).program("model")


@pytest.mark.slow
def test_a_datum_that_cannot_be_evaluated_does_not_touch_the_others() -> None:
    """Another datum's gradient is NaN at the values that it is lent."""
    x = data(3)

    def model(x: Tensor) -> None:
        with pyro.plate("data", 3) as index:
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            bad = torch.where(index == 1, (z - z).sqrt(), torch.zeros(()))  # 0, with an infinite slope
            pyro.sample("x", dist.Normal(z + bad, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", 3):
            pyro.sample("z", dist.Normal(x / 2, 0.5**0.5))

    some = Target(model, guide, x).select([2, 0])
    z = data(4, 2).requires_grad_()
    log_joint = sum(some.log_joint({"z": z}))
    assert isinstance(log_joint, Tensor)
    torch.testing.assert_close(log_joint, normal(0.0, 1.0, z) + normal(z, 1.0, x[[2, 0]]))
    draws = hmc(some, num_draws=100)
    assert draws.z["z"].isfinite().all()
