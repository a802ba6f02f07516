"""What depends on several arguments, or on the data, and is refused before any work all the same."""

import pytest
import torch
from fuzz.good_calls import X, pair, target

from elbowroom.inference import Target, fit, hmc, quadrature
from elbowroom.inference.training.batches import prepared


def test_a_prepare_that_drops_rows() -> None:
    with pytest.raises(ValueError, match=r"prepare must return a row for each datum, got shape \(1, 4\) of .*\(5, 4\)"):
        fit(**pair(), data=X, num_epochs=1, progress=False, prepare=lambda x: x[:1])
    with pytest.raises(TypeError, match="prepare must return a tensor, or a tuple of arguments, got None"):
        prepared(lambda x: None, (X,))
    assert prepared(lambda x: (x, 1), (X,))[1] == 1


def test_data_without_values() -> None:
    known = target()
    with pytest.raises(ValueError, match=r"argument 0 is on the meta device \(shape \(5, 4\)\).*give the data"):
        Target(known.model, known.guide, X.to("meta"))
    strided = torch.stack([X, X], -1)[..., 0]
    assert not strided.is_contiguous()
    assert torch.equal(Target(known.model, known.guide, strided).log_weights(2), known.log_weights(2))


def test_draws_that_memory_does_not_hold() -> None:
    with pytest.raises(ValueError, match=r"num_chains=1000000000 and num_draws=1000000 keep .* GiB .*ask for fewer"):
        hmc(target(), num_chains=10**9, num_draws=10**6)


def test_a_lattice_of_more_than_a_nat() -> None:
    with pytest.raises(ValueError, match=r"tolerance must be at most 1 nat, got 2.0"):
        quadrature(target(), tolerance=2.0)


@pytest.mark.parametrize("index", [[1.5], ["x"], [[0, 1], [2]], "x", torch.zeros(2, device="meta")])
def test_data_are_picked_by_integers(index: object) -> None:
    with pytest.raises(TypeError, match="index must be a list of integers, or of 5 marks, got"):
        target().select(index)  # type: ignore[arg-type]
