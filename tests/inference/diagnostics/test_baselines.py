"""Baselines without latents: written out datum by datum, and none where there is nothing to compare."""

import math
from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.diagnostics.baselines import independent_entries

B, N = 9, 3


def target_of(p_x: Callable[[Tensor], Any], x: Tensor, *, sites: int = 1, mask: bool = False) -> Target:
    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0))
            for i in range(sites):
                fn = p_x(z.unsqueeze(-1).expand(*z.shape, N)).to_event(1)
                pyro.sample(f"x{i}", fn.mask(x[:, 0] > -99) if mask else fn, obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0))

    return Target(model, guide, x)


def some(levels: int) -> Tensor:
    return torch.randint(0, levels, (B, N), generator=torch.Generator().manual_seed(0)).double()


def of_levels(x: Tensor, levels: int) -> list[float]:
    return [
        sum(math.log(((others := x[torch.arange(B) != b, n]) == x[b, n]).sum() + 0.5) for n in range(N))
        - N * math.log(len(others) + levels / 2)
        for b in range(B)
    ]


def of_counts(x: Tensor) -> list[float]:
    rates = [(x[torch.arange(B) != b].sum(0) + 0.5) / (B - 1) for b in range(B)]
    return [float(torch.distributions.Poisson(rate).log_prob(x[b]).sum()) for b, rate in enumerate(rates)]


def of_reals(x: Tensor) -> list[float]:
    means = torch.stack([x[torch.arange(B) != b].mean(0) for b in range(B)])
    found = []
    for b in range(B):
        sigma = (x - means)[torch.arange(B) != b].square().mean().sqrt()
        found.append(float(torch.distributions.Normal(means[b], sigma).log_prob(x[b]).sum()))
    return found


def of_reals_with_sigma(x: Tensor) -> list[float]:
    means = torch.stack([x[torch.arange(B) != b].mean(0) for b in range(B)])
    return [float(torch.distributions.Normal(means[b], 0.7).log_prob(x[b]).sum()) for b in range(B)]


@pytest.mark.parametrize(
    ("p_x", "x", "by_hand"),
    [
        (lambda z: dist.Bernoulli(logits=z), some(2), lambda x: of_levels(x, 2)),
        (lambda z: dist.Categorical(logits=torch.stack([z, -z, z, z], -1)), some(4), lambda x: of_levels(x, 4)),
        (lambda z: dist.Binomial(3, logits=z), some(4), lambda x: of_levels(x, 4)),
        (lambda z: dist.Poisson(z.exp()), some(6), of_counts),
        (lambda z: dist.Normal(z, (0.3 * z).exp()), some(6) / 3, of_reals),
        (lambda z: dist.Normal(z, 0.7), some(6) / 3, of_reals_with_sigma),
    ],
    ids=["coins", "levels", "trials", "counts", "reals", "reals of one sigma"],
)
def test_each_datum_is_told_by_the_others(p_x: Any, x: Tensor, by_hand: Callable[[Tensor], list[float]]) -> None:
    found = independent_entries(target_of(p_x, x))
    assert found is not None
    torch.testing.assert_close(found.value, torch.tensor(by_hand(x), dtype=torch.float64))


def test_there_is_none_where_nothing_can_be_compared() -> None:
    def normal(z: Tensor) -> Any:
        return dist.Normal(z, 1.0)

    x = some(6) / 3
    assert independent_entries(target_of(normal, x, sites=2)) is None
    assert independent_entries(target_of(normal, x, mask=True)) is None
    assert independent_entries(target_of(normal, x[:7])) is None
    assert independent_entries(target_of(lambda z: dist.Beta(z.exp(), 1.0), 0.1 + x / 4)) is None
