"""Site values side by side, and back."""

from collections.abc import Callable

import pytest
import torch

from elbowroom.inference.evaluation.scalars import by_site, side_by_side
from toys.programs import Triple, constrained, hierarchical, inner_plate, ppca


def test_scalars_stand_site_by_site() -> None:
    values = {"b": torch.arange(6).reshape(3, 2), "a": 10 + torch.arange(24).reshape(3, 2, 2, 2)}
    flat = side_by_side(values)
    assert flat.shape == (3, 2, 5)
    assert flat[1, 1].tolist() == [3, 22, 23, 24, 25]
    assert flat.dtype == torch.int64  # not converted


@pytest.mark.parametrize("triple", [ppca, hierarchical, inner_plate, constrained])
def test_sites_come_back(triple: Callable[[], Triple]) -> None:
    target = triple().target()
    z, _ = target.propose(3)
    found = by_site(target, side_by_side(z).double())
    assert list(found) == list(z)
    for name, value in z.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)
