"""Guides that run the model: what the model observes is no part of q."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import SVI, Trace_ELBO
from pyro.infer.autoguide import (
    AutoHierarchicalNormalMessenger,
    AutoNormalMessenger,
    AutoRegressiveMessenger,
)
from torch import Tensor

from elbowroom.inference import Target, check_program, fit, importance, quadrature
from toys.programs import data, normal, normal_evidence, normal_guide, normal_model

X = data(6)
EXACT = {"rtol": 1e-10, "atol": 1e-10}


def layered(x: Tensor) -> None:
    """w, then a positive z | w, then x | z."""
    with pyro.plate("data", len(x)):
        w = pyro.sample("w", dist.Normal(0.0, 1.0))
        z = pyro.sample("z", dist.LogNormal(w, 0.5))
        pyro.sample("x", dist.Normal(z, 1.0), obs=x)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "model"),
    [
        (AutoNormalMessenger, layered),
        (AutoHierarchicalNormalMessenger, normal_model),
        (AutoRegressiveMessenger, layered),
    ],
)
def test_messengers_have_pyros_elbo_and_the_evidence(family: Any, model: Any) -> None:
    pyro.set_rng_seed(0)
    guide = family(model)
    svi = SVI(model, guide, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO(num_particles=4))
    for _ in range(40):
        svi.step(X)
    target = Target(model, guide, X)
    found = importance(target, num_samples=2000)
    pyro.set_rng_seed(1)
    losses = torch.tensor([Trace_ELBO(num_particles=1).loss(model, guide, X) for _ in range(150)])
    error = math.hypot(float(found.info["elbo_stderr"].square().sum().sqrt()), float(losses.std()) / 150**0.5)
    assert float(found.info["elbo"].sum() + losses.mean()) == pytest.approx(0.0, abs=5 * error)
    truth = normal_evidence(X) if model is normal_model else quadrature(target, tolerance=1e-4).value
    settled = torch.tensor([not flag for flag in found.flags])
    assert ((found.value - truth).abs() < 5 * found.stderr + 1e-3)[settled].all()
    z, log_q = target.propose(3)
    torch.testing.assert_close(target.log_guide(z), log_q, **EXACT)
    report = check_program(model, guide, X)
    assert [row[2] for row in report.sites if row[0] == "guide"] == list(target.latents)
    assert not any("log q" in note for note in report.notes)


def test_a_messenger_of_a_program_that_is_one_datum() -> None:
    pyro.set_rng_seed(0)
    guide = AutoNormalMessenger(normal_model)
    guide(X)
    one = Target(normal_model, guide, X, plate=None)
    z, log_q = one.propose(4)
    loc, scale = guide.locs.z, guide.scales.z
    torch.testing.assert_close(log_q, normal(loc, scale, z["z"]).sum(-1), check_dtype=False, **EXACT)


def test_a_guide_that_calls_the_model_by_hand() -> None:
    """Its latents replaced, its observations met once more: log q is that of the latents alone."""

    def guide(x: Tensor) -> None:
        class Replace(poutine.messenger.Messenger):
            def _pyro_sample(self, msg: Any) -> None:
                if msg["name"] == "z":
                    msg["fn"] = dist.Normal(x / 2, math.sqrt(0.5))

        with Replace():
            normal_model(x)

    target = Target(normal_model, guide, X)
    torch.testing.assert_close(importance(target, num_samples=30).value, normal_evidence(X), **EXACT)
    assert target.cautions == ("",) * 6
    simulated, _ = target.simulate()
    torch.testing.assert_close(importance(simulated, num_samples=30).value, normal_evidence(simulated.args[0]), **EXACT)


@pytest.mark.slow
def test_fit_takes_the_loss_that_pyro_takes() -> None:
    """The model's observations would cancel in the loss, and nothing would be learned of the data."""
    pyro.set_rng_seed(0)
    x = data(8) + 3.0
    guide = AutoNormalMessenger(normal_model)
    guide(x)
    fit(normal_model, guide, x, plate=None, num_epochs=300, learning_rate=0.03, num_particles=10, progress=False)
    torch.testing.assert_close(guide.locs.z.detach(), x / 2, rtol=0.0, atol=0.25, check_dtype=False)


def test_plain_guides_are_as_they_were() -> None:
    target = Target(normal_model, normal_guide(1.0), X)
    torch.testing.assert_close(importance(target, num_samples=30).value, normal_evidence(X), **EXACT)
