"""Nothing outside is changed: generators, parameter store, validation, dtype, gradient mode, the programs' modules."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import autoguide
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn

from elbowroom.inference import ProgramError, Target, check_program, importance
from toys.global_state import untouched
from toys.programs import TRIPLES, Ppca, data, normal_model
from toys.selections import rest_slow

PROBLEM = Ppca.make(4, 2, 0.7)
X = PROBLEM.sample(5)


def guide_with_param(x: Tensor) -> None:
    loc = pyro.param("loc", torch.tensor(0.3))
    scale = pyro.param("scale", torch.tensor(0.8), constraint=dist.constraints.positive)
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(loc + x / 2, scale))


def everything(target: Target) -> None:
    z, _ = target.propose(3, seed=2)
    target.log_guide(z)
    target.log_joint(z)
    target.log_weights(3)
    target.sample_prior(3)
    target.sites()
    importance(target, num_samples=40, num_particles=[3])


@pytest.mark.parametrize("name", rest_slow(sorted(TRIPLES), 5))
def test_every_call_leaves_the_world_alone(name: str) -> None:
    triple = TRIPLES[name]()
    with untouched():
        target = triple.target()
        everything(target)
        check_program(triple.model, triple.guide, *triple.args, plate=triple.plate, **triple.kwargs)
        if triple.continuous:
            target.log_joint_unconstrained(target.unconstrain(target.propose(2)[0]))
        if triple.sliceable:
            everything(target.select([1, 1, 0]))


@pytest.mark.parametrize("layout", ["plate", "fold", "loop"])
def test_parameters_in_the_store_are_read_and_kept(layout: str) -> None:
    x = data(5)
    guide_with_param(x)
    with untouched():
        everything(Target(normal_model, guide_with_param, x, layout=layout))
    pyro.get_param_store()["loc"] = torch.tensor(5.0)
    with untouched():
        far = Target(normal_model, guide_with_param, x, layout=layout).propose(3)[0]["z"]
    assert far.mean() > 3


def test_parameters_met_for_the_first_time_are_not_registered() -> None:
    with untouched():
        everything(Target(normal_model, guide_with_param, data(5)))
    assert list(pyro.get_param_store()) == []


def test_gradients_reach_stored_parameters() -> None:
    x = data(5)
    guide_with_param(x)
    target = Target(normal_model, guide_with_param, x)
    target.log_weights(3).mean().backward()
    stored = pyro.get_param_store()._params
    assert all(stored[name].grad is not None and stored[name].grad.abs() > 0 for name in ("loc", "scale"))


def test_modules_are_not_changed() -> None:
    """Buffers, parameters, gradients and mode of a PyroModule; an AutoGuide that has run before."""

    class Guide(PyroModule):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).eval()
            self.scale = PyroParam(torch.tensor(0.7), constraint=dist.constraints.positive)

        def forward(self, x: Tensor) -> None:
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(self.encoder(x), self.scale).to_event(1))

    guide = Guide()
    auto = autoguide.AutoNormal(normal_model)
    x = data(5)
    auto(x)
    for module, target in (
        (guide, lambda: Target(PROBLEM.model, guide, X)),
        (auto, lambda: Target(normal_model, auto, x)),
    ):
        with untouched(module):
            everything(target())


def failing_model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        if len(x) == 1:
            raise RuntimeError("on purpose")
        pyro.sample("x", dist.Normal(z @ PROBLEM.weight.T, 0.7).to_event(1), obs=x)


@pytest.mark.parametrize(
    "call",
    [
        lambda: Target(PROBLEM.model, PROBLEM.guide, X[:, :3]),
        lambda: Target(PROBLEM.model, lambda x: None, X),
        lambda: Target(normal_model, lambda x: pyro.sample("z", dist.VonMises(x, 1.0)), X),
        lambda: check_program(failing_model, PROBLEM.guide, X),
        lambda: importance(Target(PROBLEM.model, PROBLEM.guide, X), num_samples=10, memory_bytes=1),
        lambda: Target(PROBLEM.model, PROBLEM.guide, X).log_joint({"z": torch.zeros(1, 5, 3)}),
        lambda: Target(PROBLEM.model, PROBLEM.guide, X).select([9]),
    ],
)
@pytest.mark.parametrize("validation", [True, False])
def test_also_after_errors(call: Callable[[], Any], validation: bool) -> None:
    with pyro.validation_enabled(validation), untouched(), pytest.raises((ProgramError, ValueError, IndexError)):
        call()


def test_the_callers_handlers_do_not_get_in() -> None:
    """Under the caller's own trace, scale and block, the numbers are the same and nothing is recorded."""
    target = Target(PROBLEM.model, PROBLEM.guide, X)
    expected = target.log_weights(3)
    with poutine.trace() as tracer, poutine.scale(scale=3.0):
        found = target.log_weights(3)
    torch.testing.assert_close(found, expected)
    assert list(tracer.trace.nodes) == []


def test_seeds_do_not_come_from_the_global_generator() -> None:
    target = Target(PROBLEM.model, PROBLEM.guide, X)
    first = target.propose(3)[0]["z"]
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(target.propose(3)[0]["z"], first)


class OneName(PyroModule):
    """A program of either kind whose parameter is called `loc`, as the other's is."""

    def __init__(self, what: str, loc: float) -> None:
        super().__init__()
        self.what = what
        self.loc = PyroParam(torch.tensor(loc))

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(self.loc, 1.0))
            if self.what == "model":
                pyro.sample("x", dist.Normal(z, 1.0), obs=x)


def test_parameters_of_one_name_in_model_and_guide_are_two() -> None:
    """In Pyro's store they would be one, and the guide's module would be given the model's tensor for good."""
    model, guide, x = OneName("model", 1.0), OneName("guide", -2.0), torch.tensor([0.5, 1.5])
    own = model.loc_unconstrained, guide.loc_unconstrained
    pyro.param("loc", torch.tensor(7.0))  # nor does a parameter of that name that the caller has
    z = torch.randn(3, 2)
    with untouched():
        target = Target(model, guide, x)
        prior, likelihood = target.log_joint({"z": z})
        log_q = target.log_guide({"z": z})
        importance(target, num_samples=8)
        check_program(model, guide, x)
    torch.testing.assert_close(prior, dist.Normal(1.0, 1.0).log_prob(z))
    torch.testing.assert_close(likelihood, dist.Normal(z, 1.0).log_prob(x))
    torch.testing.assert_close(log_q, dist.Normal(-2.0, 1.0).log_prob(z))
    assert (model.loc_unconstrained, guide.loc_unconstrained) == own and own[0] is not own[1]
    assert "param_state" not in vars(model._pyro_context)


def test_statements_inside_a_module_find_what_was_trained() -> None:
    """`pyro.param` in the forward of a PyroModule belongs to no module: its value is the store's."""

    class Guide(PyroModule):
        def forward(self, x: Tensor) -> None:
            loc = pyro.param("where", torch.tensor(0.0))
            with pyro.plate("data", len(x)):
                pyro.sample("z", dist.Normal(loc, 1.0))

    guide, x, z = Guide(), torch.tensor([0.5, 1.5]), torch.randn(3, 2)
    guide(x)
    pyro.get_param_store()["where"] = torch.tensor(4.0)
    with untouched():
        log_q = Target(normal_model, guide, x).log_guide({"z": z})
    torch.testing.assert_close(log_q, dist.Normal(4.0, 1.0).log_prob(z))


def test_the_callers_choice_of_local_parameters_stands() -> None:
    x, z = torch.tensor([0.5, 1.5]), torch.randn(3, 2)
    with pyro.settings.context(module_local_params=True):
        guide = OneName("guide", -2.0)
        state = guide._pyro_context.param_state
        with untouched():
            log_q = Target(normal_model, guide, x).log_guide({"z": z})
        assert guide._pyro_context.param_state is state
    torch.testing.assert_close(log_q, dist.Normal(-2.0, 1.0).log_prob(z))
    with untouched():  # and a module of its own state is evaluated outside, too
        torch.testing.assert_close(Target(normal_model, guide, x).log_guide({"z": z}), log_q)
    assert guide._pyro_context.param_state is state
