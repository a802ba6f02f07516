"""A lattice over many data with a budget for some of them: what was finished stands."""

import math

import torch

from elbowroom.inference import Target, bracket
from elbowroom.inference.programs import evaluations
from toys.programs import data, normal_guide, normal_model


def test_a_budget_for_some_data_settles_some() -> None:
    """Lattices that were tried on a few data first, and then on as many as what those took leaves room for."""
    target = Target(normal_model, normal_guide(0.8), data(40) * math.sqrt(2.0))
    begin = evaluations.total()
    whole = bracket(target, budget="1e9 evaluations", tolerance=0.001)
    spent = evaluations.total() - begin
    assert whole.settled.all() and whole.ledger.has("quadrature").all()
    some = bracket(target, budget=f"{0.75 * spent:g} evaluations", tolerance=0.001)
    done = some.ledger.has("quadrature")
    assert 8 <= int(done.sum()) < 40 and bool(some.settled[done].all())
    torch.testing.assert_close(some.lower.value[done], whole.lower.value[done], rtol=0, atol=1e-9)
