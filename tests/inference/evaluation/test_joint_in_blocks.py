"""The model recorded and replayed block by block gives the numbers of plain runs, whatever the blocks are."""

import math
from dataclasses import replace
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, importance
from elbowroom.inference.evaluation import budget, joint_in_blocks
from elbowroom.inference.evaluation.budget import Plan
from elbowroom.inference.evaluation.joint_in_blocks import JointInBlocks
from elbowroom.inference.programs.evaluations import total
from elbowroom.models import VAE
from toys.programs import data, normal_guide, normal_model


def vae(num_data: int = 7, **options: Any) -> Target:
    torch.manual_seed(0)
    x = (data(num_data, 32) > 0).double()
    return Target(VAE(32, 2, (8,)), AmortizedNormal(32, 2, (8,)), x, **options)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is to do, and in small pieces."""
    monkeypatch.setattr(joint_in_blocks, "_WORTH_BYTES", 0)
    monkeypatch.setattr(joint_in_blocks, "_FEWEST", 1)
    monkeypatch.setattr(joint_in_blocks, "_BLOCK_BYTES", 2**17)
    monkeypatch.setattr(joint_in_blocks, "_DRAWS_BYTES", 2**18)


def blocks_of(target: Target, num_samples: int = 300) -> JointInBlocks | None:
    return JointInBlocks.of(target, num_samples, budget.measure(target), None)


@pytest.mark.parametrize("layout", ["plate", "fold"])
def test_blocks_are_plain_runs(layout: str) -> None:
    """Pieces of three data, one of a single one; blocks of eight draws, the last of four."""
    target = vae(layout=layout)
    blocks = JointInBlocks(target, Plan(7, 3, 20), 8)
    for _, piece in blocks.plan.data(target):
        z = piece.propose(20, seed=1)[0]
        with torch.no_grad():
            before = total()
            found = blocks(piece, z)
            assert total() - before == 20 * len(piece)  # padding is no evaluation
            for term, plain in zip(found, piece.log_joint(z), strict=True):
                torch.testing.assert_close(term, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_importance_is_the_same_in_blocks(always: None, monkeypatch: pytest.MonkeyPatch) -> None:
    target, made = vae(), []
    evaluate = JointInBlocks.__call__
    monkeypatch.setattr(JointInBlocks, "__call__", lambda self, t, z: made.append(len(t)) or evaluate(self, t, z))
    found = importance(target, num_samples=300, seed=3, num_particles=[7])
    assert len(set(made)) > 1  # pieces of different sizes
    monkeypatch.setattr(joint_in_blocks, "_WORTH_BYTES", 2**60)
    plain = importance(target, num_samples=300, seed=3, num_particles=[7])
    torch.testing.assert_close(found.value, plain.value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.stderr, plain.stderr, rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(found.info["iwae"][7], plain.info["iwae"][7], rtol=1e-12, atol=1e-12)
    assert found.flags == plain.flags


def test_what_a_program_reads_may_change_between_calls(always: None) -> None:
    """The record is kept with the target, and what it read is part of it; it is compared anew, to a few roundings."""
    sigma = {"sigma": 1.0}

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z, sigma["sigma"]), obs=x)

    target = Target(model, normal_guide(0.9), data(4))
    first = importance(target, num_samples=300, seed=3, search=False).value
    assert blocks_of(target) is not None
    sigma["sigma"] += 1e-6
    found = importance(target, num_samples=300, seed=3, search=False).value
    fresh = Target(model, normal_guide(0.9), data(4)).log_weights(300, seed=3).logsumexp(0) - math.log(300)
    torch.testing.assert_close(found, fresh, rtol=1e-12, atol=1e-12)
    assert bool(((found - first).abs() > 1e-9).all())


def constrained(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        rate = pyro.sample("z", dist.Gamma(2.0, 1.0))
        pyro.sample("x", dist.Normal(rate, 1.0), obs=x)


def positive(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.LogNormal(x * 0.1, 0.5))


def branching(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z.abs() if float(z.detach().sum()) < 1e9 else z, 1.0), obs=x)


def test_what_cannot_be_recorded_is_run_plainly(always: None) -> None:
    assert blocks_of(vae()) is not None
    assert blocks_of(Target(constrained, positive, data(4))) is None
    assert blocks_of(Target(normal_model, normal_guide(0.9), data(4), layout="loop")) is None
    assert blocks_of(Target(branching, normal_guide(0.9), data(4))) is None


def test_a_record_is_made_where_it_pays() -> None:
    target = vae()
    cost = budget.measure(target)
    worth = int(joint_in_blocks._WORTH_BYTES / (7 * cost.cell))
    assert JointInBlocks.of(target, worth - 1, cost, None) is None
    assert JointInBlocks.of(target, 2 * worth, cost, 2**10) is None  # no room for a block
    assert JointInBlocks.of(target, 10**9, replace(cost, cell=2.0**30), None) is None  # one draw fills it


def test_blocks_keep_to_the_budget() -> None:
    """Half of it for what the guide draws, and a quarter for the model."""
    target = vae(40)
    cost = budget.measure(target)
    blocks = JointInBlocks.of(target, 10**6, cost, 2**22)
    assert blocks is not None
    assert blocks.plan.data_at_once * blocks.samples * cost.cell <= 2**20
    draws = blocks.plan.data_at_once * blocks.plan.samples_at_once
    assert draws * budget.bytes_per_draw(target) <= 2**21
