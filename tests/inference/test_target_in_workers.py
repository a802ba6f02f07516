"""A target can be handed to worker processes when its programs can: it is pickled, and gives the same bits there."""

import copy
import multiprocessing
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedNormal
from elbowroom.inference import Target, importance, quadrature
from elbowroom.models import VAE

Program = Callable[[Target], Target]


def pair() -> Target:
    torch.manual_seed(0)
    model, guide = VAE(6, 2, hidden=(5,)), AmortizedNormal(6, 2, hidden=(5,))
    return Target(model.eval(), guide.eval(), torch.bernoulli(torch.full((7, 6), 0.4)))


def value_of(target: Target) -> Tensor:
    return importance(target, num_samples=40, seed=3, search=False).value


@pytest.mark.parametrize("way", [copy.deepcopy, copy.copy, lambda target: pickle.loads(pickle.dumps(target))])
def test_a_copy_gives_the_same_bits(way: Program) -> None:
    target = pair()
    expected, exact = value_of(target), quadrature(target).value
    other = way(target)
    assert torch.equal(value_of(other), expected) and torch.equal(quadrature(other).value, exact)
    some = pickle.loads(pickle.dumps(target.select([4, 2])))
    assert torch.equal(value_of(some), expected[[4, 2]])


@pytest.mark.slow
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_give_the_same_bits(method: str) -> None:
    target = pair()
    expected = value_of(target)
    with multiprocessing.get_context(method).Pool(2) as pool:
        pieces = pool.map(value_of, [target.select([0, 1, 2]), target.select([3, 4, 5, 6])])
    assert torch.equal(torch.cat(pieces), expected)
