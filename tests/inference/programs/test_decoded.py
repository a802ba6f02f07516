"""E[x | z] and draws of x given z: those of plain runs of the model, whatever its layout, plates and masks."""

import math
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from torch import Tensor

from elbowroom.inference import ProgramError, Target
from elbowroom.inference.programs import terms
from elbowroom.inference.programs.decoded import decoded, observation_of
from toys.programs import TRIPLES, Triple, data, normal_guide

S = 3


def asked(target: Target, **options: Any) -> Tensor:
    z = target.propose(S)[0]
    site = observation_of(target, target.layouts, target.propose(1)[0]).site
    return decoded(target, target.layouts, site, z, **options)


def by_hand(triple: Triple, target: Target, name: str, s: int) -> Tensor:
    """The mean of the site in a plain run of the model at one draw, with the data in front."""
    z = {n: v[s : s + 1] for n, v in target.propose(S)[0].items()}
    structure, placed = target.structure, terms.place(target.structure, z, None)
    trace = poutine.trace(poutine.condition(triple.model, data=placed)).get_trace(*triple.args, **triple.kwargs)
    node = trace.nodes[name]
    mean = node["fn"].mean
    if structure.data_dim is not None:
        mean = mean.movedim(len(node["fn"].batch_shape) + structure.data_dim, 0)
        return mean.reshape(len(target), -1)
    return mean.reshape(1, -1)


@pytest.mark.parametrize("name", sorted(TRIPLES.keys() - {"drawn_discrete"}))
def test_the_mean_is_that_of_a_plain_run(name: str) -> None:
    triple = TRIPLES[name]()
    target = triple.target()
    site = observation_of(target, target.layouts, target.propose(1)[0]).site
    found = asked(target)
    assert found.shape[:2] == (S, len(target))
    for s in range(S):
        torch.testing.assert_close(
            found[s].reshape(len(target), -1), by_hand(triple, target, site.name, s), rtol=1e-12, atol=1e-12
        )


def test_what_is_observed_is_given_back_with_nan_where_a_mask_hides_it() -> None:
    x, mask = data(4, 3), torch.ones(4, 3, dtype=torch.bool)
    mask[1, 2] = mask[3, 0] = False

    def model(x: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Normal(z.unsqueeze(-1), torch.ones(3)).mask(mask).to_event(1), obs=x)

    def guide(x: Tensor, mask: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(0.0, torch.ones(len(x))))

    target = Target(model, guide, x, mask)
    found = observation_of(target, target.layouts, target.propose(1)[0])
    assert torch.equal(found.x.isnan(), ~mask) and torch.equal(found.x[mask], x[mask])
    picked = target.select([3, 1])
    again = observation_of(picked, picked.layouts, picked.propose(1)[0])
    torch.testing.assert_close(again.x, found.x[[3, 1]], equal_nan=True)


def test_the_site_with_the_most_values_is_taken() -> None:
    def model(x: Tensor, y: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("y", dist.Normal(z, 1.0), obs=y)
            pyro.sample("x", dist.Normal(z.unsqueeze(-1).expand(*z.shape, 5), 1.0).to_event(1), obs=x)

    def guide(x: Tensor, y: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(y, 1.0))

    target = Target(model, guide, data(4, 5), data(4))
    assert observation_of(target, target.layouts, target.propose(1)[0]).name == "x"


def test_draws_scatter_around_the_mean_and_are_functions_of_the_seed() -> None:
    target = TRIPLES["conjugate"]().target()
    mean = asked(target)
    draws = torch.stack([asked(target, draw=True, seed=seed) for seed in range(100)])
    assert torch.equal(draws[3], asked(target, draw=True, seed=3)) and not torch.equal(draws[3], draws[4])
    assert bool(((draws.mean(0) - mean).abs() < 4.5 * draws.std(0) / 10).all())


def mixed(x: Tensor) -> None:
    """k before z: given z the classes have other probabilities than before."""
    with pyro.plate("data", len(x)):
        k = pyro.sample("k", dist.Categorical(torch.tensor([0.7, 0.3])), infer={"enumerate": "parallel"})
        z = pyro.sample("z", dist.Normal(torch.tensor([-1.0, 1.0])[k], 1.0))
        pyro.sample("x", dist.Normal(z + 5.0 * k, 0.1), obs=x)


def test_discrete_latents_are_weighed_by_what_they_make_of_the_others() -> None:
    target = Target(mixed, normal_guide(1.0), data(5))
    z = target.propose(S)[0]["z"]
    share = (2 * z + math.log(0.3 / 0.7)).sigmoid()
    found = asked(target)
    error = 5 * (share * (1 - share) / 64).sqrt() * 2  # of 64 draws of k, weighed
    assert bool(((found - z - 5 * share).abs() < 4 * error + 1e-9).all())


@pytest.mark.slow
def test_and_so_are_draws() -> None:
    target = Target(mixed, normal_guide(1.0), data(5))
    z = target.propose(S)[0]["z"]
    share = (2 * z + math.log(0.3 / 0.7)).sigmoid()
    drawn = torch.stack([asked(target, draw=True, seed=seed) for seed in range(16)]).mean(0)
    assert bool(((drawn - z - 5 * share).abs() < 4 * 5 * (share * (1 - share) / 12).sqrt() + 0.1).all())


def test_categories_have_no_mean_but_draws_do() -> None:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(0.0, 1.0))
            pyro.sample("x", dist.Categorical(logits=torch.stack([z, -z], -1)), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x - 0.5, 1.0))

    target = Target(model, guide, torch.tensor([0, 1, 1]))
    p = (-2 * target.propose(S)[0]["z"]).sigmoid()
    assert bool(((asked(target) - p).abs() < 4.5 * (p * (1 - p) / 64).sqrt() + 1e-9).all())


def test_functions_that_cannot_draw_x_say_so() -> None:
    x = data(3, 2)
    target = Target.from_functions(
        lambda S, x: x + torch.randn(S, len(x), 2),
        lambda z, x: dist.Normal(x, 1.0).log_prob(z).sum(-1),
        lambda z, x: dist.Normal(0.0, 1.0).log_prob(z).sum(-1) + dist.Normal(z, 1.0).log_prob(x).sum(-1),
        x,
        dim=2,
    )
    with pytest.raises(ProgramError):
        asked(target, draw=True)
