"""Globals fixed above the data plate: log p(x_b | s), said to be so; what is no such global is refused."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference import ProgramError, Target, audit_target, bracket, calibrate, check_program, quadrature
from toys.programs import data, normal

X = data(4)
SCALE = torch.tensor(1.3, dtype=torch.float64)


def model(x: Tensor) -> None:
    s = pyro.sample("s", dist.LogNormal(0.0, 1.0))
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, s))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def observing(x: Tensor) -> None:
    s = pyro.sample("s", dist.LogNormal(0.0, 1.0), obs=SCALE)
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, s))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def discrete(x: Tensor) -> None:
    """The locals of one mode: a mixture's labels, summed out beside the fixed means of its components."""
    s = pyro.sample("s", dist.LogNormal(0.0, 1.0), obs=SCALE)
    with pyro.plate("components", 2):
        means = pyro.sample("means", dist.Normal(0.0, 5.0), obs=torch.tensor([0.0, 0.0]))
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, s))
        k = pyro.sample("k", dist.Categorical(torch.tensor([0.3, 0.7])))
        pyro.sample("x", dist.Normal(z + means[k], 0.5), obs=x)


def exact(x: Tensor) -> None:
    gain = SCALE**2 / (SCALE**2 + 0.25)
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(gain * x, (gain * 0.25).sqrt()))


CONDITIONED = poutine.condition(model, data={"s": SCALE})
TRUTH = normal(0.0, (SCALE**2 + 0.25).sqrt(), X)


@pytest.mark.parametrize("program", [CONDITIONED, observing, discrete])
def test_log_p_given_the_value(program: Callable[[Tensor], None]) -> None:
    target = Target(program, exact, X)
    torch.testing.assert_close(target.log_weights(3), TRUTH.expand(3, 4))
    torch.testing.assert_close(target.select([2, 0]).log_weights(2), TRUTH[[2, 0]].expand(2, 2))
    report = check_program(program, exact, X)
    assert any("log p(x | s" in note and "integrated out" in note for note in report.notes)
    assert ("model", "fixed", "s") in {row[:3] for row in report.sites}


def test_what_rests_on_it_says_so() -> None:
    target = Target(CONDITIONED, exact, X)
    torch.testing.assert_close(quadrature(target).value, TRUTH)
    assert all("log p(x | s)" in note for note in bracket(target, budget="1e5 evaluations").notes)
    assert "log p(x | s)" in str(audit_target(target, budget="2e4 evaluations", num_simulations=60).verdict)


def test_data_are_simulated_at_the_fixed_value() -> None:
    target = Target(CONDITIONED, exact, X)
    simulated, z = target.simulate(seed=2)
    torch.testing.assert_close(simulated.log_weights(1)[0], normal(0.0, (1.3**2 + 0.25) ** 0.5, simulated.args[0]))
    assert z.keys() == {"z"}
    assert not any(c.rejected for c in calibrate(target, num_simulations=80, num_draws=40, level=1e-3).checks)


def test_a_guide_that_still_draws_it() -> None:
    def drawing(x: Tensor) -> None:
        pyro.sample("s", dist.LogNormal(0.0, 0.1))
        exact(x)

    with pytest.raises(ProgramError, match=r"(?s)guide's site 's' is not a latent site.*the model has fixed.*hide"):
        Target(CONDITIONED, drawing, X)


def a_statistic_of_latents(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)
    pyro.sample("total", dist.Normal(z.sum(-1), 1.0), obs=torch.tensor(0.3))


def a_statistic_of_data(x: Tensor) -> None:
    pyro.sample("total", dist.Normal(0.0, 1.0), obs=x.sum())
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def a_forgotten_plate(x: Tensor) -> None:
    label = pyro.sample("total", dist.Normal(torch.zeros(len(x)), 1.0).mask(True), obs=x.sign())
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(label, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def a_penalty(x: Tensor) -> None:
    pyro.factor("total", torch.tensor(-1.0))
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


@pytest.mark.parametrize("program", [a_statistic_of_latents, a_statistic_of_data, a_forgotten_plate, a_penalty])
def test_what_is_no_fixed_global_is_refused(program: Callable[[Tensor], None]) -> None:
    with pytest.raises(ProgramError, match=r"observed site 'total'.*is outside the data plate 'data'"):
        Target(program, exact, X)


def test_labels_outside_the_plate_of_programs_that_cannot_be_cut() -> None:
    labels: list[Any] = X.sign().tolist()

    def outside(x: list[float]) -> None:
        label = pyro.sample("label", dist.Normal(0.0, 1.0), obs=torch.tensor(labels))
        with pyro.plate("data", 4):
            z = pyro.sample("z", dist.Normal(label, 1.0))
            pyro.sample("x", dist.Normal(z, 0.5), obs=torch.tensor(x))

    with pytest.raises(ProgramError, match=r"observed site 'label'.*has a row for each datum"):
        Target(outside, lambda x: exact(torch.tensor(x)), X.tolist())


def test_one_datum_as_a_whole_counts_its_density() -> None:
    """With plate=None nothing is conditioned on: log p(x, s)."""
    target = Target(observing, exact, X, plate=None)
    expected = TRUTH.sum() + dist.LogNormal(0.0, 1.0).log_prob(SCALE)
    torch.testing.assert_close(target.log_weights(2), expected.expand(2, 1))
    assert not target.notes
