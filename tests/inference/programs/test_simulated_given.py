"""Data drawn given latents: the same as with these latents drawn, and apart where they are not."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor

from elbowroom.inference import Target
from toys.contract import PAIRS

X = torch.tensor([[0.3], [-1.2], [0.8]], dtype=torch.float64)


def model(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        z = pyro.sample("z", dist.Normal(x.new_zeros(1), 1.0).to_event(1))
        pyro.sample("x", dist.Normal(10 * z, 0.1).to_event(1), obs=x)


def guide(x: Tensor) -> None:
    with pyro.plate("data", len(x)):
        pyro.sample("z", dist.Normal(0.1 * x, 0.01).to_event(1))


def test_given_the_latents_that_were_drawn_the_data_are_those_that_were_drawn() -> None:
    for pair in (PAIRS["vae, normal"], PAIRS["switched, switched"], PAIRS["chain, chain"]):
        target = pair.target()
        simulated, z = target.simulate(seed=3)
        again, same = target.simulate(seed=3, given=z)
        assert torch.equal(again.args[0], simulated.args[0])
        assert all(torch.equal(same[name], value) for name, value in z.items())


def test_the_data_follow_the_latents_that_are_given() -> None:
    target = Target(model, guide, X)
    z = {"z": torch.tensor([-3.0, 0.0, 5.0], dtype=torch.float64).reshape(1, 3, 1)}
    simulated, kept = target.simulate(seed=1, given=z)
    assert torch.equal(kept["z"], z["z"])
    assert (simulated.args[0] - 10 * z["z"][0]).abs().max() < 0.5
    assert not torch.equal(simulated.args[0], target.simulate(seed=2, given=z)[0].args[0])


def test_data_with_a_program_each_are_given_their_own() -> None:
    def one_by_one(x: Tensor) -> None:
        for b in pyro.plate("data", len(x)):
            z = pyro.sample(f"z_{b}", dist.Normal(x.new_zeros(()), 1.0))
            pyro.sample(f"x_{b}", dist.Normal(10 * z, 0.1), obs=x[b, 0])

    def its_guide(x: Tensor) -> None:
        for b in pyro.plate("data", len(x)):
            pyro.sample(f"z_{b}", dist.Normal(0.1 * x[b, 0], 0.01))

    target = Target(one_by_one, its_guide, X)
    z = target.propose(1)[0]
    simulated, _ = target.simulate(given=z)
    assert (simulated.args[0] - X).abs().max() < 1.0
