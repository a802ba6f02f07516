"""Few labels of each class: as many as asked for, the right ones, and of the training data alone."""

import pytest
import torch

from elbowroom.datasets import keep_labels, load


def test_so_many_of_each_class_and_the_right_ones() -> None:
    digits = load("digits")
    few, more, other = (keep_labels(digits, n, seed=s).labels["train"] for n, s in ((3, 0), (5, 0), (3, 1)))
    assert torch.bincount(few[few >= 0]).tolist() == [3] * 10 and torch.bincount(more[more >= 0]).tolist() == [5] * 10
    assert (few[few >= 0] == digits.labels["train"][few >= 0]).all()
    assert ((few < 0) | (more >= 0)).all() and not torch.equal(few, other)
    assert torch.equal(keep_labels(digits, 3).labels["test"], digits.labels["test"])


def test_what_cannot_be_kept_is_refused() -> None:
    digits = load("digits")
    with pytest.raises(ValueError, match=r"per_class must be an integer from 1 .* got 0"):
        keep_labels(digits, 0)
    with pytest.raises(ValueError, match=r"labels_per_class is 500, but class 0 of digits has \d+ data"):
        keep_labels(digits, 500)
