"""Data in a sequential plate: each datum has a program of its own, and the numbers of a vectorised plate."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor, nn

from elbowroom.inference import (
    ProgramError,
    Target,
    bracket,
    calibrate,
    check_program,
    decompose,
    hmc,
    importance,
    quadrature,
)
from toys.programs import data, normal

X = data(5)


def model(x: Tensor) -> None:
    for i in pyro.plate("data", len(x)):
        z = pyro.sample(f"z_{i}", dist.Normal(0.0, 1.0))
        pyro.sample(f"x_{i}", dist.Normal(z, 0.5), obs=x[i])


def guide(x: Tensor) -> None:
    for i in pyro.plate("data", len(x)):
        pyro.sample(f"z_{i}", dist.Normal(0.8 * x[i], 0.2**0.5))


def wide(x: Tensor) -> None:
    for i in pyro.plate("data", len(x)):
        pyro.sample(f"z_{i}", dist.Normal(0.7 * x[i], 0.6))


def vectorised(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def vectorised_wide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(0.7 * x, 0.6))


TRUTH = normal(0.0, torch.tensor(1.25, dtype=torch.float64).sqrt(), X)


def test_the_exact_posterior() -> None:
    target = Target(model, guide, X)
    assert len(target) == 5 and target.sliceable and target.latents == {"z": ()}
    torch.testing.assert_close(target.log_weights(3), TRUTH.expand(3, 5))
    torch.testing.assert_close(target.select([4, 1, 4]).log_weights(3), TRUTH[[4, 1, 4]].expand(3, 3))
    report = check_program(model, guide, X)
    assert report.num_data == 5 and any("sequential" in note for note in report.notes)


def test_the_numbers_of_a_vectorised_plate() -> None:
    """Keys are of the data, noise of keys and sites: the same draws, the same chains."""
    one, other = Target(model, wide, X), Target(vectorised, vectorised_wide, X)
    (z, log_q), (z_too, log_q_too) = one.propose(4), other.propose(4)
    torch.testing.assert_close(z["z"], z_too["z"])
    torch.testing.assert_close(log_q, log_q_too)
    for a, b in zip(one.log_joint(z), other.log_joint(z), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(one.sample_prior(3)["z"], other.sample_prior(3)["z"])
    (left, z), (right, z_too) = one.simulate(5), other.simulate(5)
    torch.testing.assert_close(z["z"], z_too["z"])
    assert left.data[0].shape == (5,) and torch.equal(left.data[0] == X, right.data[0] == X)
    weighed = [importance(t, num_samples=200, search=False) for t in (one, other)]
    torch.testing.assert_close(weighed[0].value, weighed[1].value)
    assert weighed[0].flags == weighed[1].flags


@pytest.mark.slow
def test_what_rests_on_it() -> None:
    target = Target(model, wide, X)
    torch.testing.assert_close(quadrature(target).value, TRUTH, rtol=0.0, atol=1e-8)
    torch.testing.assert_close(bracket(target, budget=5).lower.value, TRUTH, rtol=0.0, atol=1e-6)
    assert hmc(target.select([0, 3]), num_chains=2, num_warmup=50, num_draws=20).z["z"].shape == (2, 20, 2)
    checks = calibrate(Target(model, guide, X), num_simulations=60, num_draws=20, level=1e-3).checks
    assert not any(check.rejected for check in checks)
    refined = decompose(target, families=["mean-field"], num_samples=64).refined
    torch.testing.assert_close(refined.target().log_weights(2), TRUTH.expand(2, 5), rtol=0.0, atol=1e-4)
    with pytest.raises(ValueError, match=r"plate 'data' is sequential.*RefinedGuide.target"):
        refined.program()


def test_discrete_sites_are_summed_out_and_networks_are_run() -> None:
    net = nn.Linear(2, 1)
    x = data(4, 2)

    def mixture(x: Tensor) -> None:
        for i in pyro.plate("data", len(x)):
            k = pyro.sample(f"k_{i}", dist.Bernoulli(0.3))
            z = pyro.sample(f"z_{i}", dist.Normal(0.0, 1.0))
            pyro.sample(f"x_{i}", dist.Normal((z + k).unsqueeze(-1), torch.ones(2)).to_event(1), obs=x[i])

    def encoder(x: Tensor) -> None:
        for i in pyro.plate("data", len(x)):
            pyro.sample(f"z_{i}", dist.Normal(net(x[i]).squeeze(-1), 1.0))

    target = Target(mixture, encoder, x)
    z, _ = target.propose(3)
    at = [normal(z["z"] + k, 1.0, x[:, 0]) + normal(z["z"] + k, 1.0, x[:, 1]) for k in (0.0, 1.0)]
    expected = torch.logaddexp(at[0] + torch.tensor(0.7).log(), at[1] + torch.tensor(0.3).log())
    torch.testing.assert_close(target.log_joint(z)[1], expected)


def test_one_datum_as_a_whole_is_right_too() -> None:
    torch.testing.assert_close(Target(model, guide, X, plate=None).log_weights(2), TRUTH.sum().expand(2, 1))
    coins = torch.tensor([1.0] * 6 + [0.0] * 4)

    def coin(x: Tensor) -> None:
        f = pyro.sample("f", dist.Beta(10.0, 10.0))
        for i in pyro.plate("loop", len(x)):
            pyro.sample(f"obs_{i}", dist.Bernoulli(f), obs=x[i])

    target = Target(coin, lambda x: pyro.sample("f", dist.Beta(16.0, 14.0)), coins, plate=None)
    torch.testing.assert_close(target.log_weights(2), torch.full((2, 1), -7.069373), rtol=0.0, atol=1e-5)


def chained(x: Tensor) -> None:
    """A walk written as a plate: a step's prior is the step before."""
    z = torch.zeros(())
    for i in pyro.plate("data", len(x)):
        z = pyro.sample(f"z_{i}", dist.Normal(z, 1.0))
        pyro.sample(f"x_{i}", dist.Normal(z, 0.5), obs=x[i])


def shared(x: Tensor) -> None:
    shift = pyro.sample("shift", dist.Normal(0.0, 1.0))
    for i in pyro.plate("data", len(x)):
        pyro.sample(f"x_{i}", dist.Normal(shift, 0.5), obs=x[i])


def numbered(x: Tensor) -> None:
    """Locals of which each datum has its own."""
    for i in pyro.plate("data", len(x)):
        loc = pyro.param(f"loc_{i}", torch.tensor(0.1 * i))
        pyro.sample(f"z_{i}", dist.Normal(loc, 1.0))


def test_steps_that_know_each_other_are_refused() -> None:
    with pytest.raises(
        ProgramError, match=r"with pyro.plate.*plate=None.*model cannot be run.*steps depend on each other"
    ):
        Target(chained, guide, X)
    with pytest.raises(ProgramError, match=r"guide cannot be run.*or on their number"):
        Target(model, numbered, X)
    with pytest.raises(ProgramError, match=r"latent site 'shift'.*outside the data plate"):
        Target(shared, lambda x: pyro.sample("shift", dist.Normal(0.0, 1.0)), X)


def test_data_that_are_no_arguments_are_refused() -> None:
    with pytest.raises(ProgramError, match=r"sequential plate 'data'.*with pyro.plate.*plate=None"):
        Target(lambda: model(X), lambda: guide(X))
