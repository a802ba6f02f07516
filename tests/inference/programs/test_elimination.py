"""Sums of products in log space: against sums over every combination, where products of exponentials underflow too."""

import itertools

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Target
from elbowroom.inference.programs.elimination import log_sum_exp, log_sum_product
from toys.programs import data, normal

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def packed(value: Tensor, dims: str) -> Tensor:
    value = value[...]
    value._pyro_dims = dims  # type: ignore[attr-defined]
    return value


def test_a_chain_with_a_plate() -> None:
    """log Σ_{a, b, c} f(a) g(a, b) h(b, c) Π_i m(c, i), with dims in any order."""
    f, g, h, m = data(2, seed=1), data(2, 3, seed=2), data(4, 3, seed=3), data(5, 4, seed=4)
    found = log_sum_product(
        {
            frozenset(): [packed(f, "a"), packed(g, "ab"), packed(h, "cb")],
            frozenset("i"): [packed(m, "ic")],
        },
        {"a", "b", "c"},
        frozenset(),
    )
    terms = [f[a] + g[a, b] + h[c, b] + m[:, c].sum() for a, b, c in itertools.product(range(2), range(3), range(4))]
    torch.testing.assert_close(found[...], torch.stack(terms).logsumexp(0), **EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_factors_that_contradict_each_other(dtype: torch.dtype) -> None:
    """One factor is for the first value by 5000 nats, the other for the second: both products underflow."""
    one, other = torch.tensor([0.0, -5000.0], dtype=dtype), torch.tensor([-5001.0, 0.0], dtype=dtype)
    found = log_sum_product({frozenset(): [packed(one, "a"), packed(other, "a")]}, {"a"}, frozenset())
    torch.testing.assert_close(found[...], (one + other).logsumexp(0))


def test_gradients_where_nothing_is_possible_are_zero() -> None:
    """One row of three is impossible: it has no gradient, and its −∞ takes none from the others."""
    terms = data(3, 4).index_fill(0, torch.tensor(1), -torch.inf).requires_grad_()
    total = log_sum_exp(terms, 1)
    assert total[1] == -torch.inf
    (found,) = torch.autograd.grad(total.logsumexp(0), terms)
    expected = terms.detach().flatten().softmax(0).reshape(3, 4)
    torch.testing.assert_close(found, expected, **EXACT)


def test_a_model_of_observations_that_contradict_each_other() -> None:
    """Two of four steps of a chain that never changes fit one state, two the other: log p(x) is −9985, not −∞."""
    y = torch.tensor([0.0, 0.0, 1.0, 1.0])

    def model(y: Tensor) -> None:
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        k = pyro.sample("k0", dist.Categorical(torch.ones(2) / 2))
        for t in pyro.markov(range(4)):
            if t:
                k = pyro.sample(f"k{t}", dist.Categorical(logits=torch.eye(2).log()[k]))
            pyro.sample(f"y{t}", dist.Normal(k.to(y.dtype) + 0.0 * z, 0.01), obs=y[t])

    target = Target(model, lambda y: pyro.sample("z", dist.Normal(0.0, 1.0)), y, plate=None)
    z, _ = target.propose(3)
    states = torch.stack([normal(float(k), 0.01, y).sum() - torch.tensor(2.0).log() for k in (0, 1)])
    torch.testing.assert_close(target.log_joint(z)[1], states.logsumexp(0).expand(3, 1), rtol=1e-10, atol=0.0)
