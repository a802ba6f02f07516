"""Flows: what each layer sees, the library that they are made of, and a bent posterior that a Normal cannot follow."""

import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution, transforms

from elbowroom.guides import AmortizedNormal, FlowGuide, PlanarGuide
from elbowroom.guides.flow_layers import flow_layers
from elbowroom.inference import Target, bracket, decompose, hmc, importance, quadrature
from elbowroom.networks.program import Program
from elbowroom.networks.zuko_library import import_zuko
from toys.contract import REGISTERED
from toys.failure_budget import sigmas
from toys.richer_guides import KINDS, P

D, B = 3, 3
needs_zuko = pytest.mark.skipif(find_spec("zuko") is None, reason="flows are made of zuko, which is not installed")


def jacobian(kind: str, layer: int) -> Tensor:
    """∂f/∂x of one layer, at a point, `[D, D]`."""
    torch.manual_seed(0)
    f = flow_layers(kind, layer + 1, D, 2, (5,), "silu")[layer](torch.randn(2))
    return torch.autograd.functional.jacobian(f, torch.randn(D))


@needs_zuko
def test_layers_see_what_they_may() -> None:
    first, second = jacobian("iaf", 0), jacobian("iaf", 1)
    assert (first.triu(1) == 0).all() and (second.tril(-1) == 0).all()  # in order, and in reverse order
    assert (first.tril(-1) != first.tril(-1).mT).any() and (first.diagonal() > 0).all()
    for kind in ("coupling", "spline"):
        for layer, kept in enumerate(([0, 2], [1])):
            found, changed = jacobian(kind, layer), [i for i in range(D) if i not in kept]
            assert torch.equal(found[kept], torch.eye(D)[kept])
            assert (found[changed][:, kept] != 0).all() and (found[changed, changed] != 1).all()


@needs_zuko
@pytest.mark.parametrize("checks", [True, False])
def test_importing_zuko_leaves_the_checks_of_arguments_as_they_were(
    checks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    zuko, inverse = import_zuko(), transforms._InverseTransform.__name__
    for name in [name for name in sys.modules if name.partition(".")[0] == "zuko"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(Distribution, "_validate_args", checks)
    assert import_zuko() is not zuko  # imported anew
    assert Distribution._validate_args is checks
    assert transforms._InverseTransform.__name__ == inverse


def test_without_zuko_flows_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(ImportError, match=r"flows are made of zuko, .*pip install 'elbowroom\[flows\]'"):
        FlowGuide(P, D)
    assert PlanarGuide(P, D).encode(torch.randn(B, P)).event_shape == (D,)
    assert Distribution._validate_args


@needs_zuko
@pytest.mark.parametrize("kind", KINDS)
def test_one_latent_will_do(kind: str) -> None:
    q_z = FlowGuide(P, 1, (3,), kind, transform_hidden=(3,)).encode(torch.randn(B, P)).expand((50, B))
    z = q_z.rsample()
    torch.testing.assert_close(q_z.log_prob(z.clone()), q_z.log_prob(z), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "maf"}, "kind.* got 'maf', expected one of 'iaf', 'coupling', 'spline'"),
        ({"num_transforms": 0}, "num_transforms.* got 0"),
        ({"num_features": 0}, "num_features.* got 0"),
        ({"transform_hidden": (0,)}, r"transform_hidden.* got 0"),
    ],
)
def test_what_a_flow_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlowGuide(P, D, **arguments)


class Bent(Program):
    """z ~ N(0, I), x | z ~ N(z_2 + z_1², 0.3²): posteriors that lie along a parabola."""

    def forward(self, x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            mean = (z[..., 1] + z[..., 0].square()).unsqueeze(-1)
            pyro.sample("x", dist.Normal(mean, 0.3).to_event(1), obs=x)


def room(guide: AmortizedNormal | PlanarGuide | FlowGuide) -> tuple[Tensor, Tensor]:
    """log p(x) − ELBO of the guide when trained, of each datum, and the error, nats."""
    x, model = torch.linspace(0.5, 2.0, B).unsqueeze(-1), Bent()
    optimiser = torch.optim.Adam(guide.parameters(), 0.02)
    for _ in range(120):
        q_z = guide.encode(x).expand((32, B))
        z = q_z.rsample()
        likelihood = dist.Normal(z[..., 1] + z[..., 0].square(), 0.3).log_prob(x[:, 0])
        loss = (q_z.log_prob(z) - dist.Normal(0.0, 1.0).log_prob(z).sum(-1) - likelihood).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    target = Target(model, guide, x)
    info = importance(target, num_samples=2000, search=False).info
    return quadrature(target).value - info["elbo"], info["elbo_stderr"]


@cache
def room_of_a_normal() -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return room(AmortizedNormal(1, 2, (8,)))


@pytest.mark.slow
@needs_zuko
@pytest.mark.parametrize("kind", ["iaf", *(pytest.param(k, marks=pytest.mark.slow) for k in (*KINDS[1:], "planar"))])
def test_a_bent_posterior_leaves_a_normal_more_room(kind: str) -> None:
    normal, normal_error = room_of_a_normal()
    torch.manual_seed(3)
    flow = PlanarGuide(1, 2, (8,)) if kind == "planar" else FlowGuide(1, 2, (8,), kind, transform_hidden=(16,))
    bent, error = room(flow)
    assert (bent > -sigmas(B) * error).all()  # log p(x) is not passed
    assert (normal - bent > sigmas(B) * torch.hypot(error, normal_error)).all()
    assert float(bent.mean()) < 0.6 * float(normal.mean())


@pytest.mark.slow
@needs_zuko
def test_chains_brackets_and_ladders_start_from_a_flow() -> None:
    target = REGISTERED["vae, iaf"].target(2)
    exact = quadrature(target).value
    assert not any(hmc(target, num_draws=300).flags)
    found = bracket(target, budget=2)
    torch.testing.assert_close(torch.stack([found.lower.value, found.upper.value]), exact.expand(2, -1))
    parts = decompose(target)
    total = parts.elbo.value + parts.amortization.value + parts.optimisation.value + parts.approximation.value
    torch.testing.assert_close(total, exact)
