"""Refined members as a Pyro guide program: the same numbers as the ladder's, in Pyro's own hands."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import SVI, Predictive, Trace_ELBO
from pyro.infer.autoguide import AutoNormal
from torch import Tensor

from elbowroom.inference import Target, importance
from elbowroom.inference.gap import decompose
from elbowroom.inference.gap.result import Decomposition
from elbowroom.reference import problem
from toys.gap import POSITIVE, Decoder, Pixels, positive_guide, positive_model

RUNGS = ("mean-field", "full covariance", "mixture")


def found(target: Target, families: tuple[str, ...] = RUNGS) -> Decomposition:
    """Its members are what the tests are about: log p(x) is whatever the encoder says."""
    return decompose(target, num_samples=256, families=families, log_p=importance(target, search=False))


def pixels() -> Target:
    return Pixels().target(4)


def bent() -> Target:
    return problem("banana-mean-field").target()


def positive() -> Target:
    return Target(positive_model, positive_guide, torch.tensor(POSITIVE))


def deep() -> Target:
    """Three data at dim −2, behind a plate of repeats that only what is observed stands in."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            w = pyro.sample("w", dist.Gamma(2.0, z[..., 0].exp()))
            with pyro.plate("repeats", 3, dim=-1):
                pyro.sample("x", dist.Normal(w + z[..., 1], 0.5), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2):
            pyro.sample("z", dist.Normal(0.1 * torch.ones(2), 0.5).to_event(1))
            pyro.sample("w", dist.LogNormal(0.2 * torch.ones(len(x), 1), 0.5))

    return Target(model, guide, torch.tensor([[0.3, 0.5, 1.1], [2.0, 2.4, 1.7], [0.1, 0.2, 0.2]]))


MAKERS = {make.__name__: make for make in (pixels, bent, positive, deep)}


SLOW = {"deep", "pixels"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in MAKERS])
def test_the_chain_of_conditionals_is_the_joint_density(name: str) -> None:
    target = MAKERS[name]()
    d = found(target)
    for rung in RUNGS:
        program, member = d.refined.program(rung), d.refined.target(rung)
        own = Target(target.model, program, *target.args)
        z, log_q = member.propose(7, seed=3)
        torch.testing.assert_close(own.log_guide(z), log_q, atol=1e-8, rtol=1e-8)
        again, log_own = own.propose(5, seed=4)
        torch.testing.assert_close(member.log_guide(again), log_own, atol=1e-8, rtol=1e-8)
        assert not own.structure.auxiliary
        loss = Trace_ELBO(num_particles=2000, vectorize_particles=True, max_plate_nesting=2)
        value = -loss.loss(target.model, program, *target.args)
        spread = importance(member, num_samples=2000).info["elbo_stderr"].square().sum().sqrt()
        error = torch.hypot(spread, d.ladder[rung].stderr.square().sum().sqrt())
        assert abs(value - d.ladder[rung].value.sum()) < 4 * error + 1e-6


@pytest.mark.slow
def test_scales_of_the_model_are_the_programs() -> None:
    """A subsampling plate and a KL weight: model and guide are weighed alike."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", 40, subsample_size=len(x)), pyro.poutine.scale(scale=0.5):
            z = pyro.sample("z", dist.Normal(pyro.param("centre", torch.tensor(0.0)), 1.0))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", 40, subsample_size=len(x)), pyro.poutine.scale(scale=0.5):
            pyro.sample("z", dist.Normal(x / 3, 0.5))

    x = torch.tensor([0.3, -1.0, 2.0])
    d = found(Target(model, guide, x), RUNGS[:1])
    program = d.refined.program()
    trace = pyro.poutine.trace(program).get_trace(x)
    assert "centre" not in trace.nodes  # the model's parameters are not the guide's
    loss = Trace_ELBO().loss(model, program, x)
    # The refined member is the posterior: a single draw gives the sum of log p(x), times 40/3 and a half.
    evidence = dist.Normal(0.0, 2.0**0.5).log_prob(x).sum()
    assert abs(-loss - 40 / 3 / 2 * float(evidence)) < 1e-3


@pytest.mark.slow
def test_predictive_and_batches() -> None:
    target = positive()
    program = found(target, RUNGS[:2]).refined.program()
    drawn = Predictive(target.model, guide=program, num_samples=50, parallel=False)(*target.args)
    assert drawn["rate"].reshape(50, -1).shape == (50, 5)
    assert bool((drawn["rate"] > 0).all())
    with pytest.raises(ValueError, match="refined for 5 data and is called with 2"):
        program(target.args[0][:2])
    with pytest.raises(ValueError, match="other data than"):
        program(target.args[0].flip(0))


def test_two_data_are_not_taken_for_copies_of_one() -> None:
    two = Pixels().target(2)
    d = found(two, RUNGS[:1])
    own = Target(two.model, d.refined.program(), *two.args)
    assert not own.sliceable
    z, log_q = d.refined.target().propose(3)
    torch.testing.assert_close(own.log_guide(z), log_q)


@pytest.mark.slow
def test_members_can_be_trained_and_the_decoder_beneath_them() -> None:
    decoder, toy = Decoder(), Pixels()
    x = toy.data(6)
    target = Target(decoder, toy.guide, x)
    refined = found(target, RUNGS[:1]).refined
    start, program = refined.families["mean-field"], refined.program()
    assert {name for name, _ in program.named_parameters()} == {"loc", "scale", "log_share"}
    with torch.no_grad():
        program.loc.add_(1.0)
    before = decoder.weight.detach().clone()
    svi = SVI(
        lambda x: toy.model(x),
        program,
        pyro.optim.Adam({"lr": 0.05}),
        Trace_ELBO(num_particles=20, vectorize_particles=True, max_plate_nesting=1),
    )
    for _ in range(150):
        svi.step(x)
    assert torch.equal(decoder.weight, before)
    assert float((program.loc.detach() - start.loc).abs().max()) < 0.25  # back from 1.0 away
    program.requires_grad_(False)
    held = program.loc.detach().clone()
    pyro.clear_param_store()
    svi = SVI(decoder, program, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO())
    svi.step(x)
    assert torch.equal(program.loc, held)


@pytest.mark.slow
def test_an_automatic_guide_and_its_auxiliary_sites_leave_no_trace() -> None:
    x = torch.tensor(POSITIVE)
    guide = AutoNormal(positive_model)
    guide(x)
    program = found(Target(positive_model, guide, x), RUNGS[:1]).refined.program()
    trace = pyro.poutine.trace(program).get_trace(x)
    assert {name for name in trace.stochastic_nodes if name != "data"} == {"rate", "level"}
    assert all(node["type"] != "param" or name in ("loc", "scale", "log_share") for name, node in trace.nodes.items())


def test_sites_in_further_plates_are_refused() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2), pyro.plate("repeats", 3, dim=-1):
            w = pyro.sample("w", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(w, 1.0), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x), dim=-2), pyro.plate("repeats", 3, dim=-1):
            pyro.sample("w", dist.Normal(x / 2, 0.5))

    refined = found(Target(model, guide, torch.randn(2, 3)), RUNGS[:1]).refined
    with pytest.raises(ValueError, match=r"'w'.* plates besides"):
        refined.program()
    with pytest.raises(ValueError, match="rung must be one of"):
        refined.program("flow")
