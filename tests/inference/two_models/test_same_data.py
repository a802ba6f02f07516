"""Two targets are compared only where both are densities of the same values, on one scale."""

from collections.abc import Callable
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target, versus
from elbowroom.inference.two_models.same_data import check_comparable

X = torch.arange(24.0).reshape(6, 4) / 24


def target(x: Tensor, likelihood: Callable[[Tensor], Any] | None = None) -> Target:
    make = likelihood or (lambda at: dist.Normal(at, 1.0))

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))
            at = z.reshape(*z.shape, *[1] * (x.dim() - 1)).expand(*z.shape, *x.shape[1:])
            pyro.sample("x", make(at).to_event(x.dim() - 1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(torch.zeros(len(x)), 1.0))

    return Target(model, guide, x)


@pytest.mark.parametrize("other", [X, X.flip(1), X.reshape(6, 2, 2), X.float().double()])
def test_a_datums_values_in_any_order_and_shape(other: Tensor) -> None:
    check_comparable(("a", "b"), target(X), target(other))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (target(X[:5]), "a is pinned to 6 data and b to 5"),
        (target(X[:, :3]), "a observes 4 values of each datum and b observes 3"),
        (target(X.flip(0)), "pinned to other data: 6 of 6 differ"),
        (target(X * 255), r"a has the data of b times 0.003922.*4 · log\(0.003922\)"),
        (target(2 * X - 1), "times 0.5"),
        (
            target((X > 0.5).double(), lambda at: dist.Bernoulli(logits=at)),
            "b gives the data probabilities and a a density",
        ),
    ],
)
def test_others_are_refused(other: Target, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        versus(target(X), other)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"names": ("a", "a")}, "names"),
        ({"level": 1.0}, "level"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"about": "all data"}, "about"),
        ({"budget": -1.0}, "budget"),
    ],
)
def test_arguments_out_of_range(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        versus(target(X), target(X), **options)
