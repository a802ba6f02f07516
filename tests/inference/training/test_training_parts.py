"""The parts of training by themselves: minibatches, schedules, the optimiser, the record of a run."""

import json
import math

import pytest
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import PyroOptim
from torch import Tensor

from elbowroom.inference.training import SCHEDULES, fit
from elbowroom.inference.training.batches import Batches, fingerprint
from elbowroom.inference.training.nonfinite import NonFiniteStep
from elbowroom.inference.training.optimiser import JointOptimiser
from elbowroom.inference.training.run_config import differences
from elbowroom.inference.training.schedule import kl_weight
from toys.training import make_data, make_pair, values


def test_minibatch_order_is_a_function_of_seed_and_epoch() -> None:
    batches = Batches((torch.arange(50.0),), 8, seed=3)
    first = batches.order(2)
    torch.manual_seed(99)
    assert torch.equal(Batches((torch.zeros(50, 4),), 7, seed=3).order(2), first)
    assert sorted(first.tolist()) == list(range(50))
    assert not torch.equal(batches.order(3), first) and not torch.equal(Batches(batches.tensors, 8, 4).order(2), first)
    assert len(batches) == 7 and [len(rows) for rows in first.split(8)][-1] == 2


def test_the_order_does_not_change_between_releases() -> None:
    """A literal: an old run directory must find its place. If NumPy changes `permutation`, resumed runs are noted."""
    assert Batches((torch.zeros(10),), 5, seed=0).order(0).tolist() == [0, 7, 8, 6, 9, 5, 1, 3, 2, 4]


def test_fingerprints_tell_contents_shapes_and_dtypes_apart() -> None:
    x = torch.arange(6.0)
    same = fingerprint((x.clone(),))
    assert fingerprint((x,)) == same
    others = [x + 1e-15 * (x == 3), x.reshape(2, 3), x.float()]
    assert all(fingerprint((other,))["sha256"] != same["sha256"] for other in others)
    assert fingerprint((x.reshape(2, 3).T,))["sha256"] == fingerprint((x.reshape(2, 3).T.contiguous(),))["sha256"]


def test_schedules() -> None:
    """Every schedule begins at the full rate and stays within it; cosine is at half in the middle and ends at 0."""
    for factor in SCHEDULES.values():
        assert factor(0.0) == 1.0
        assert all(0.0 <= factor(i / 100) <= 1.0 for i in range(101))
    assert SCHEDULES["cosine"](0.5) == pytest.approx(0.5) and SCHEDULES["cosine"](1.0) == pytest.approx(0.0)
    assert SCHEDULES["constant"](1.0) == 1.0
    assert SCHEDULES["exponential"](1.0) == pytest.approx(0.1)


def test_kl_weight() -> None:
    assert [kl_weight(step, 4) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert kl_weight(0, 0) == 1.0


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_the_learning_rate_of_each_step_is_the_schedules(schedule: str) -> None:
    fitted = fit(
        *make_pair(), make_data(40), num_epochs=5, batch_size=8, learning_rate=0.1, schedule=schedule, progress=False
    )
    last_steps = [4, 9, 14, 19, 24]
    expected = [0.1 * SCHEDULES[schedule](step / 25) for step in last_steps]
    assert [row["learning_rate"] for row in fitted.history] == pytest.approx(expected, rel=1e-12)


def quadratic(scale: float) -> dict[str, Tensor]:
    """Two parameters with gradients (3, 4)·scale and 12·scale: joint norm 13·scale."""
    parameters = {"a": torch.zeros(2, requires_grad=True), "b": torch.zeros((), requires_grad=True)}
    parameters["a"].grad, parameters["b"].grad = torch.tensor([3.0, 4.0]) * scale, torch.tensor(12.0) * scale
    return parameters


@pytest.mark.parametrize(("clip_norm", "factor"), [(None, 1.0), (26.0, 1.0), (6.5, 0.5), (1.3, 0.1)])
@pytest.mark.parametrize("divisor", [1.0, 8.0])
def test_clipping_is_by_the_joint_norm_of_the_mean_gradient(
    clip_norm: float | None, factor: float, divisor: float
) -> None:
    parameters = quadratic(divisor)
    optimiser = JointOptimiser(parameters, 0.1, clip_norm)
    optimiser.divisor = divisor
    optimiser()
    assert isinstance(optimiser, PyroOptim)
    assert optimiser.gradient_norm == pytest.approx(13.0)
    moments = optimiser.state_tensors()
    torch.testing.assert_close(moments["a/exp_avg"], 0.1 * factor * torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(moments["b/exp_avg"], 0.1 * factor * torch.tensor(12.0))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_gradient_changes_nothing(bad: float) -> None:
    parameters = quadratic(1.0)
    optimiser = JointOptimiser(parameters, 0.1)
    optimiser()
    before, moments = values_of(parameters), optimiser.state_tensors()
    for p in parameters.values():
        p.grad = torch.full_like(p, bad)
    with pytest.raises(NonFiniteStep):
        optimiser()
    assert all(torch.equal(a, b) for a, b in zip(before, values_of(parameters), strict=True))
    assert all(torch.equal(moments[name], value) for name, value in optimiser.state_tensors().items())
    assert all(p.grad is None for p in parameters.values())


def test_a_parameter_without_a_gradient_is_left_alone() -> None:
    """Pyro's own zeroed gradients would let Adam's momentum move it, and differently after a resume."""
    parameters = quadratic(1.0)
    optimiser = JointOptimiser(parameters, 0.1)
    optimiser()
    before = parameters["b"].detach().clone()
    parameters["a"].grad = torch.ones(2)
    optimiser()
    assert torch.equal(parameters["b"], before)


def test_state_goes_round_through_tensors() -> None:
    ours, theirs = quadratic(1.0), quadratic(1.0)
    first, second = JointOptimiser(ours, 0.1), JointOptimiser(theirs, 0.1)
    first()
    with torch.no_grad():
        for p, q in zip(theirs.values(), ours.values(), strict=True):
            p.copy_(q)
    second.clear()
    second.load_state_tensors(first.state_tensors())
    for optimiser, parameters in ((first, ours), (second, theirs)):
        for p in parameters.values():
            p.grad = torch.full_like(p, 2.0)
        optimiser()
    assert all(torch.equal(a, b) for a, b in zip(values_of(ours), values_of(theirs), strict=True))


def test_it_serves_pyros_svi_directly() -> None:
    model, guide = make_pair()
    parameters = {f"{i}": p for i, p in enumerate([*model.network.parameters(), *guide.network.parameters()])}
    del model.scale, guide.scale
    model.scale, guide.scale = torch.tensor(1.0), torch.tensor(0.7)
    before = values(model, guide)
    SVI(model, guide, JointOptimiser(parameters, 0.1), Trace_ELBO()).step(make_data())
    assert all(not torch.equal(a, b) for a, b in zip(before, values(model, guide), strict=True))


def test_differences_are_told_leaf_by_leaf() -> None:
    ours = {"a": {"b": 1, "c": [1, 2]}, "d": None}
    theirs = {"a": {"b": 2, "c": [1, 2]}, "e": "x"}
    assert differences(ours, ours) == []
    told = differences(ours, json.loads(json.dumps(theirs)))
    assert told == [
        "a.b: 2 in the run directory, now 1",
        "d: '(absent)' in the run directory, now None",
        "e: 'x' in the run directory, now '(absent)'",
    ]


def values_of(parameters: dict[str, Tensor]) -> list[Tensor]:
    return [p.detach().clone() for p in parameters.values()]
