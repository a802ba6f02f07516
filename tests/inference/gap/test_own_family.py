"""The guide's own family: exact where the posterior is in it, what may not change it, and where it is no rung."""

from functools import cache

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import transforms
from pyro.infer import Trace_ELBO
from torch import Tensor

from elbowroom.datasets import load
from elbowroom.guides import BottomUp, Ladder
from elbowroom.inference import Estimate, Target, decompose, fit, importance
from elbowroom.inference.families.family import Family
from elbowroom.inference.gap.annealed import part_of
from elbowroom.inference.gap.offset_target import OffsetTarget
from elbowroom.inference.gap.own_family import OWN_FAMILY
from elbowroom.models import HierarchicalVAE
from elbowroom.reference import problem
from toys.failure_budget import sigmas
from toys.gap import Pixels
from toys.hierarchies import as_ppca, exact_guide, linear_hierarchy
from toys.leaves import leaves, same

B = 5
OWN = {"families": [OWN_FAMILY], "num_samples": 64}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "centred"), [("bottom-up", True), ("top-down", False), ("ladder", True)])
def test_what_was_put_between_the_encoder_and_its_family_is_found(name: str, centred: bool) -> None:
    """KL(q ‖ p) of an exact guide whose Normals are moved and widened is Σ ½ (δ² + e^2γ − 1) − γ: all amortization."""
    model, x = linear_hierarchy((1, 1), centred=centred), torch.randn(B, 3)
    exact = Target(model, exact_guide(name, model), x)
    shift, widening = torch.randn(B, 2), 0.4 * torch.randn(B, 2)
    offsets = OffsetTarget.of(exact, Family.gaussian(shift, widening.exp()))

    def guide(x: Tensor, shift: Tensor, widening: Tensor) -> None:
        offsets.guide(x, own_shift=shift, own_widening=widening)

    target = Target(lambda x, shift, widening: model(x), guide, x, shift, widening)
    log_p = as_ppca(model).log_prob(x).detach()
    d = decompose(target, log_p=Estimate(log_p, torch.zeros(B), "exact"), families=[OWN_FAMILY])
    kl = (0.5 * (shift.square() + (2 * widening).exp() - 1) - widening).sum(-1)
    assert d.family == OWN_FAMILY and d.notes == d.flags == ("",) * B
    torch.testing.assert_close(d.amortization.value, kl, rtol=0, atol=1e-3)
    torch.testing.assert_close(d.ladder[OWN_FAMILY].value, log_p, rtol=0, atol=1e-3)
    torch.testing.assert_close(d.approximation.value, torch.zeros(B), rtol=0, atol=1e-3)
    found = d.refined.families[OWN_FAMILY]
    torch.testing.assert_close(found.loc.squeeze(1), -shift * (-widening).exp(), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.scale.squeeze(1), (-widening).exp(), rtol=0, atol=1e-3)


@cache
def trained(name: str) -> Target:
    """A small hierarchy of digits."""
    torch.manual_seed(0)
    x = load("digits", binarize="threshold").train[:400].double()
    model = HierarchicalVAE(64, (3, 2), (24,), centred=True)
    guide = {"bottom-up": BottomUp, "ladder": Ladder}[name](model, (24,))
    fit(model, guide, x, num_epochs=25, batch_size=50, learning_rate=5e-3, warmup_epochs=5, progress=False)
    return Target(model, guide, x[:12])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bottom-up", pytest.param("ladder", marks=pytest.mark.slow)])
def test_encoders_fall_short_of_their_family_on_nearly_all_data(name: str) -> None:
    """Where mean-field gains nothing over a guide whose layers depend on each other."""
    target = trained(name)
    log_p = importance(target, num_samples=50, search=False)
    d = decompose(target, log_p=log_p, families=[OWN_FAMILY, "mean-field"], num_samples=128)
    own, mean_field = d.gains[OWN_FAMILY], d.gains["mean-field"]
    assert int((own.value > 0).sum()) >= 11
    assert bool((own.value >= 0).all()) and bool((mean_field.value >= 0).all())
    assert own.value.mean() > 5 * mean_field.value.mean()


@pytest.mark.slow
def test_company_and_chunks_change_nothing() -> None:
    target = trained("bottom-up").select(range(5))
    log_p = importance(target, num_samples=200, search=False)
    whole = leaves(decompose(target, log_p=log_p, **OWN))
    cut = leaves(decompose(target, log_p=log_p, memory_bytes=3_000_000, **OWN))
    for path, value in whole.items():
        if path != "num_evaluations":  # the search from the prior takes as many steps as the slowest of a chunk
            same(cut[path], value, 1e-8, path)
    some = torch.tensor([4, 1])
    few = leaves(decompose(target.select(some), log_p=part_of(log_p, some), **OWN))
    for name in ("encoder", OWN_FAMILY):
        path = f"ladder.{name}.value"
        torch.testing.assert_close(few[path], whole[path][some], rtol=1e-8, atol=1e-8)


@pytest.mark.slow
def test_members_are_a_target_and_a_program() -> None:
    target = trained("ladder").select(range(4))
    refined = decompose(target, log_p=importance(target, num_samples=50, search=False), **OWN)
    member, program = refined.refined.target(), refined.refined.program()
    z, log_q = member.propose(400)
    own = Target(target.model, program, *target.args)
    torch.testing.assert_close(own.log_guide(z), log_q)
    torch.testing.assert_close(
        member.select([2, 0]).log_guide({n: v[:, [2, 0]] for n, v in z.items()}), log_q[:, [2, 0]]
    )
    log_w = sum(member.log_joint(z)) - log_q
    error = torch.hypot(log_w.std(0) / 400**0.5, refined.ladder[OWN_FAMILY].stderr)
    assert ((log_w.mean(0) - refined.ladder[OWN_FAMILY].value).abs() < sigmas(4) * error).all()
    assert {name for name, _ in program.named_parameters()} == {"shift", "widening"}
    loss = Trace_ELBO(num_particles=20, vectorize_particles=True, max_plate_nesting=1)
    loss.differentiable_loss(target.model, program, *target.args).backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in program.parameters())
    with pytest.raises(ValueError, match="refined for 4 data and is called with 2"):
        program(target.args[0][:2])


def flow_target() -> Target:
    """A posterior that bends, and a guide that is a bent Normal with other parameters."""

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z[..., 0].square() + z[..., 1], 0.4), obs=x)

    torch.manual_seed(1)
    bend = transforms.AffineCoupling(1, torch.nn.Sequential(torch.nn.Linear(1, 6), torch.nn.Tanh(), _Pair(6)))

    def guide(x: Tensor) -> None:
        base = dist.Normal(torch.stack([0.3 * x, 0.5 * x], -1), 0.7).to_event(1)
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.TransformedDistribution(base, [bend]))

    return Target(model, guide, torch.tensor([0.5, 1.0, 2.0]))


class _Pair(torch.nn.Module):
    def __init__(self, num_inputs: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(num_inputs, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.linear(x).chunk(2, -1)


def test_a_flow_has_its_own_family() -> None:
    d = decompose(flow_target(), families=[OWN_FAMILY, "mean-field"], num_samples=512)
    assert d.family == OWN_FAMILY and d.notes == ("",) * 3
    assert bool((d.gains[OWN_FAMILY].value > 0.01).all())
    member = d.refined.target(OWN_FAMILY)
    z, log_q = member.propose(2000)
    log_w = sum(member.log_joint(z)) - log_q
    error = torch.hypot(log_w.std(0) / 2000**0.5, d.ladder[OWN_FAMILY].stderr)
    assert ((log_w.mean(0) - d.ladder[OWN_FAMILY].value).abs() < sigmas(3) * error).all()


@pytest.mark.slow
def test_guides_that_are_gaussian_have_no_rung_besides_theirs() -> None:
    for target in (Pixels().target(2), problem("ppca").target()):
        with pytest.raises(ValueError, match="is no family of this guide: the guide is a Gaussian"):
            decompose(target, families=[OWN_FAMILY])
    d = decompose(Pixels().target(2), families=[OWN_FAMILY, "mean-field"], num_samples=64)
    alone = decompose(Pixels().target(2), families=["mean-field"], num_samples=64)
    assert list(d.ladder) == ["encoder", "mean-field"]
    assert torch.equal(d.amortization.value, alone.amortization.value)


@pytest.mark.slow
def test_an_exact_guide_of_two_sites_has_no_room() -> None:
    d = decompose(problem("banana").target(), num_samples=128)
    assert d.family == OWN_FAMILY and d.notes == d.flags == ("",) * len(d)
    for term in (d.amortization, d.approximation, d.room()):
        torch.testing.assert_close(term.value, torch.zeros(len(d)), rtol=0, atol=1e-6)
