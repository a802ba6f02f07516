"""What is given beside x or z: labels as unit vectors, vectors as they are, and the refusal of anything else."""

import pytest
import torch
from torch import Tensor

from elbowroom.networks.context import beside, check_context, check_labels, context_size, one_hot

X = torch.zeros(3, 6, dtype=torch.float64)


def test_a_label_is_a_unit_vector_on_any_leading_dims() -> None:
    labels = torch.tensor([[2, 0, 1], [1, 1, 0]])
    found = one_hot(labels, 3, X)
    assert torch.equal(found, torch.eye(3)[labels]) and found.dtype == X.dtype
    assert torch.equal(check_context(labels[0], 3, X), torch.eye(3)[labels[0]])


def test_vectors_are_taken_as_they_are() -> None:
    context = torch.rand(3, 4)
    assert check_context(context, 4, X) is context
    assert torch.equal(check_context(context.reshape(3, 2, 2), 4, X), context)


def test_leading_dims_broadcast() -> None:
    z, c = torch.rand(5, 3, 2), torch.rand(3, 4)
    both = beside(z, c)
    assert both.shape == (5, 3, 6) and torch.equal(both[4, 1], torch.cat([z[4, 1], c[1]]))
    assert beside(c, z[:, :1]).shape == (5, 3, 6)


@pytest.mark.parametrize(
    ("context", "told"),
    [
        (torch.tensor([0, 3, 1]), r"labels outside 0 … 2, such as 3 \(rows \[1\]\)"),
        (torch.tensor([0, -1, -1]), r"such as -1 \(rows \[1, 2\]\)"),
        (torch.tensor([0, 1]), r"got shape \(2,\) and torch.int64, expected class labels \[3\]"),
        (torch.tensor([0.0, 1.0, 2.0]), r"expected \[3, 3\], or class labels \[3\] .*context.long\(\)"),
        (torch.rand(2, 3), r"got shape \(2, 3\) for 3 data, expected \[3, 3\]"),
    ],
)
def test_a_context_that_does_not_fit_is_refused(context: Tensor, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_context(context, 3, X)


def test_other_dtypes_are_refused() -> None:
    with pytest.raises(TypeError, match=r"got torch.float32 beside data of torch.float64; try context.to"):
        check_context(torch.rand(3, 3, dtype=torch.float32), 3, X)
    with pytest.raises(TypeError, match="got list"):
        check_context([1, 2, 3], 3, X)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"y: got shape \(3,\) and torch.float64"):
        check_labels("y", torch.zeros(3), 3, 3)


@pytest.mark.parametrize(("context_dim", "num_classes"), [(None, None), (3, 3)])
def test_one_of_two_sizes_is_given(context_dim: int | None, num_classes: int | None) -> None:
    assert context_size(4, None) == 4 and context_size(None, 5) == 5
    with pytest.raises(ValueError, match=r"context_dim and num_classes: got .*, expected one of them"):
        context_size(context_dim, num_classes)
