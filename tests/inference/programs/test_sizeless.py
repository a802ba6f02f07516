"""Plates without a size: read off their sites, in every layout and for whatever is asked."""

from collections.abc import Callable

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import ProgramError, Target, bracket, calibrate, hmc, quadrature
from toys.programs import data, normal

X = data(4)


def model(x: Tensor) -> None:
    with pyro.plate("data"):
        z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
        pyro.sample("x", dist.Normal(z, 0.5), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data"):
        pyro.sample("z", dist.Normal(0.8 * x, 0.2**0.5))


def evidence(x: Tensor) -> Tensor:
    return normal(0.0, 1.25**0.5, x)


@pytest.mark.parametrize("layout", [None, "plate", "fold", "loop"])
def test_the_exact_posterior_in_every_layout(layout: str | None) -> None:
    target = Target(model, guide, X, layout=layout)  # type: ignore[arg-type]
    assert len(target) == 4 and target.sliceable
    torch.testing.assert_close(target.log_weights(3), evidence(X).expand(3, 4))


def test_densities_are_vmapped() -> None:
    target = Target(model, guide, X)
    z, _ = target.propose(3)
    vmapped = target.replaced(layouts={"model": "vmap", "guide": "vmap"})
    prior, likelihood = vmapped.log_joint(z)
    torch.testing.assert_close(prior + likelihood - vmapped.log_guide(z), evidence(X).expand(3, 4))


def test_one_datum_and_data_picked_twice() -> None:
    torch.testing.assert_close(Target(model, guide, X[:1]).log_weights(2), evidence(X[:1]).expand(2, 1))
    some = Target(model, guide, X).select([2, 2, 0])
    torch.testing.assert_close(some.log_weights(2), evidence(X[[2, 2, 0]]).expand(2, 3))


def test_what_rests_on_it() -> None:
    target = Target(model, guide, X)
    torch.testing.assert_close(quadrature(target).value, evidence(X), rtol=0.0, atol=1e-8)
    torch.testing.assert_close(bracket(target, budget=5).lower.value, evidence(X), rtol=0.0, atol=1e-6)
    draws = hmc(target, num_chains=2, num_draws=60, seed=0).z["z"]
    assert draws.shape[2:] == (4,) and bool((draws.mean((0, 1)) - 0.8 * X).abs().lt(4 * 0.2**0.5 / 5).all())
    simulated, z = target.simulate(seed=1)
    assert len(simulated) == 4 and not torch.equal(simulated.data[0], X) and z["z"].shape == (1, 4)
    assert not any(check.rejected for check in calibrate(target, num_simulations=60, num_draws=30, level=1e-3).checks)


def test_its_discrete_sites_are_summed_out() -> None:
    """Packed plates: one of unknown size would be taken for one that is not there."""

    def mixture(x: Tensor) -> None:
        with pyro.plate("data"):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
            k = pyro.sample("k", dist.Bernoulli(torch.full((len(x),), 0.3)), infer={"enumerate": "parallel"})
            pyro.sample("x", dist.Normal(2.0 * k, 0.5), obs=x)
            pyro.sample("y", dist.Normal(z, 1.0), obs=x)

    target = Target(mixture, guide, X)
    z, _ = target.propose(3)
    prior, likelihood = target.log_joint(z)
    both = torch.stack([0.7 * normal(0.0, 0.5, X).exp(), 0.3 * normal(2.0, 0.5, X).exp()])
    torch.testing.assert_close(likelihood, both.sum(0).log() + normal(z["z"], 1.0, X))
    torch.testing.assert_close(prior, normal(0.0, 1.0, z["z"]))


def test_other_plates_have_no_size_either() -> None:
    """The guide's plate has a size, the model's none, and another within it has none."""
    x = data(3, 4)

    def nested(x: Tensor) -> None:
        with pyro.plate("data", dim=-1):
            z = pyro.sample("z", dist.Normal(torch.zeros(x.shape[1]), 1.0))
            with pyro.plate("pixels", dim=-2):
                pyro.sample("x", dist.Normal(z, torch.full((3, 1), 0.5)), obs=x)

    def sized(x: Tensor) -> None:
        with pyro.plate("data", x.shape[1]):
            pyro.sample("z", dist.Normal(x.sum(0) * 4 / 13, 13**-0.5))

    target = Target(nested, sized, x)
    truth = dist.MultivariateNormal(torch.zeros(3), torch.ones(3, 3) + 0.25 * torch.eye(3)).log_prob(x.T)
    torch.testing.assert_close(target.log_weights(2), truth.expand(2, 4))


def test_one_datum_as_a_whole() -> None:
    """A global latent, and a plate without a size for the observations."""

    def coin(x: Tensor) -> None:
        f = pyro.sample("f", dist.Beta(10.0, 10.0))
        with pyro.plate("flips"):
            pyro.sample("x", dist.Bernoulli(f), obs=x)

    x = torch.tensor([1.0] * 6 + [0.0] * 4)
    target = Target(coin, lambda x: pyro.sample("f", dist.Beta(16.0, 14.0)), x, plate=None)
    assert target.structure.sizes == {"flips": 10}
    torch.testing.assert_close(target.log_weights(3), torch.full((3, 1), -7.069373), rtol=0.0, atol=1e-5)


def shared_latent(x: Tensor) -> None:
    with pyro.plate("data"):
        shift = pyro.sample("shift", dist.Normal(0.0, 1.0))
        pyro.sample("x", dist.Normal(shift, 0.5).expand([len(x)]), obs=x)


def shared_factor(x: Tensor) -> None:
    with pyro.plate("data"):
        pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
        pyro.sample("x", dist.Normal(torch.zeros(len(x)), 0.5), obs=x)
        pyro.factor("penalty", torch.tensor(-1.0))


@pytest.mark.parametrize(("program", "told"), [(shared_latent, "'shift' has 1"), (shared_factor, "'penalty' has 1")])
def test_what_all_data_share_is_not_drawn_for_each(program: Callable[[Tensor], None], told: str) -> None:
    """A plate with a size would expand it: four draws, or four penalties, where the program has one."""

    def same(x: Tensor) -> None:
        if program is shared_latent:
            with pyro.plate("data"):
                pyro.sample("shift", dist.Normal(0.0, 1.0))
        else:
            guide(x)

    with pytest.raises(ProgramError, match=rf"plate 'data' has no size.*{told}.*'x' has 4|'x' has 4.*{told}"):
        Target(program, same, X)
