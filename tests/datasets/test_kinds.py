"""What a data set hands to programs of each kind, and the sizes that constructors may ask for."""

from dataclasses import replace

import pytest
import torch

from elbowroom.datasets import KINDS, Dataset, keep_labels, load


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


def test_every_kind_begins_with_x_a_row_a_datum(digits: Dataset) -> None:
    for name, kind in KINDS.items():
        x, *others = kind.arguments(digits, "test")
        assert len(x) == 360 and x.dtype == torch.float32 and all(len(other) == 360 for other in others), name
        assert kind.says.startswith("x [B, ") and kind.says.count("[B") == 1 + len(others)


def test_the_pixels_are_the_same_in_every_kind(digits: Dataset) -> None:
    for name, kind in KINDS.items():
        x, *others = kind.arguments(digits, "test")
        whole = torch.cat([others[0], x], 1) if name == "completion" else x  # the upper half first
        scale = 16 if name in ("counts", "levels", "bag") else 1
        torch.testing.assert_close(whole.reshape(360, 64), digits.test * scale)


def test_sizes(digits: Dataset) -> None:
    sizes = {name: kind.sizes(kind.arguments(digits, "train")) for name, kind in KINDS.items()}
    assert sizes["binary"] == {"data_dim": 64}
    assert sizes["image"] == {"data_dim": 64, "image_shape": (1, 8, 8)}
    assert sizes["sequence"] == {"data_dim": 8, "num_steps": 8}
    assert sizes["labelled"] == sizes["partly-labelled"] == {"data_dim": 64, "num_classes": 10}
    assert sizes["completion"] == {"data_dim": 32, "context_dim": 32}


def test_the_middle_row_is_seen(digits: Dataset) -> None:
    three = replace(digits, test=torch.arange(12.0).reshape(1, 12), image_shape=(3, 4))
    x, seen = KINDS["completion"].arguments(three, "test")
    assert x.tolist() == [[8, 9, 10, 11]] and seen.tolist() == [list(range(8))]


def test_colour_comes_first(digits: Dataset) -> None:
    x = torch.arange(24.0).reshape(2, 12)
    colour = replace(digits, test=x, image_shape=(2, 2, 3))
    (images,) = KINDS["image"].arguments(colour, "test")
    assert images.shape == (2, 3, 2, 2) and images[0, :, 0, 1].tolist() == [3, 4, 5]
    (images,) = KINDS["image"].arguments(replace(colour, image_shape=(3, 1, 4)), "test")  # as torch stores them
    assert torch.equal(images, x.reshape(2, 3, 1, 4))


def test_what_a_kind_cannot_be_made_of_is_refused(digits: Dataset) -> None:
    with pytest.raises(ValueError, match="binarize='threshold' leaves zeros and ones"):
        KINDS["counts"].arguments(load("digits", binarize="threshold"), "test")
    with pytest.raises(ValueError, match=r"expected whole numbers from 0 on, got others in row 1$|row 1;"):
        KINDS["bag"].arguments(replace(digits, test=torch.tensor([[1.0], [0.3]])), "test")
    with pytest.raises(ValueError, match=r"expected an image \(height, width\)"):
        KINDS["image"].arguments(replace(digits, image_shape=None), "test")
    unlabelled = replace(digits, labels={"train": torch.full((len(digits.train),), -1)})
    with pytest.raises(ValueError, match="no labels of the test split"):
        KINDS["labelled"].arguments(unlabelled, "test")
    with pytest.raises(ValueError, match="have no label"):
        KINDS["labelled"].arguments(unlabelled, "train")


def test_which_labels_are_told(digits: Dataset) -> None:
    few = keep_labels(digits, per_class=2)
    x, y, seen = KINDS["partly-labelled"].arguments(few, "train")
    assert len(x) == 1257 and int(seen.sum()) == 20 and torch.equal(y, few.labels["train"].clamp(min=0))
    assert torch.equal(y[seen], digits.labels["train"][seen]) and y.dtype == torch.int64
    assert KINDS["partly-labelled"].arguments(few, "test")[2].all()


def test_a_new_binarisation_leaves_labels_alone(digits: Dataset) -> None:
    drawn, labels = load("digits", binarize="dynamic").prepare(digits.train, digits.labels["train"])
    assert set(drawn.unique().tolist()) == {0, 1} and torch.equal(labels, digits.labels["train"])
