"""What a datum is decides how it is drawn: images, labelled ones, sequences, bags of words."""

import numpy as np
import pytest
import torch
from torch import Tensor

from elbowroom.datasets import KINDS
from elbowroom.report import Drawn, bags_figure, drawn_figure, redrawn_figure, sequences_figure, topics_figure
from elbowroom.report.figures.datum import DRAWN
from toys.data_kinds import toy_data

SIZES = {"data_dim": 6, "image_shape": (1, 2, 3), "num_steps": 4, "num_classes": 3, "context_dim": 6}


def canvas(figure) -> np.ndarray:
    return np.asarray(figure.axes[0].images[0].get_array().filled(np.nan))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_and_so_is_what_a_model_makes_of_it(kind: str) -> None:
    x, *others = toy_data(kind, "real", 5, SIZES)
    shape = {"sequence": None, "bag": None, "completion": (4, 3)}.get(kind, (2, 3))
    drawn = Drawn(x, tuple(others), shape)
    samples, pairs = drawn_figure(kind, drawn), redrawn_figure(kind, drawn, x + 0.1)
    assert "5 data drawn from the model" in samples.get_suptitle() and "5 data and their" in pairs.get_suptitle()
    assert samples.axes and len(pairs.axes) >= len(samples.axes) / 2
    assert set(DRAWN) == set(KINDS)


def test_flat_data_that_are_no_images_are_near_squares() -> None:
    x = torch.rand(1, 12)
    np.testing.assert_array_equal(canvas(drawn_figure("real", Drawn(x))), x.reshape(3, 4))


def test_labelled_images_are_in_the_order_of_their_labels() -> None:
    x, y = torch.rand(4, 4), torch.tensor([2, 0, 2, 1])
    figure = drawn_figure("labelled", Drawn(x, (y,), (2, 2)))
    np.testing.assert_array_equal(canvas(figure)[:2, :2], x[1].reshape(2, 2))
    np.testing.assert_array_equal(canvas(figure)[3:, 3:], x[2].reshape(2, 2))
    assert "by label: 0 (1), 1 (1), 2 (2)" in figure.get_suptitle()


def test_a_completed_image_has_the_half_that_was_given_above() -> None:
    x, seen = torch.rand(1, 2), torch.rand(1, 4)
    figure = drawn_figure("completion", Drawn(x, (seen,), (3, 2)))
    np.testing.assert_array_equal(canvas(figure), torch.cat([seen, x], 1).reshape(3, 2))


def test_a_sequence_of_few_values_is_curves_that_end_with_its_steps() -> None:
    x, mask = torch.rand(3, 5, 2), torch.arange(5) < torch.tensor([[5], [2], [1]])
    figure = sequences_figure({"a": x, "b": 1 - x}, mask, title="t")
    assert len(figure.axes) == 6
    first, second = figure.axes[1].lines[1].get_ydata(), figure.axes[4].lines[1].get_ydata()
    np.testing.assert_array_equal(first, [*x[1, :2, 1], np.nan, np.nan, np.nan])
    np.testing.assert_allclose(second, 1 - first)


def test_a_sequence_of_many_values_is_a_band() -> None:
    x = torch.rand(2, 3, 8)
    figure = sequences_figure({"": x}, None, title="t")
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), x[1].T)


def test_words_that_are_known_name_the_bars_of_bags_and_topics() -> None:
    words, x = ("a", "b", "c", "d"), torch.tensor([[0.1, 0.6, 0.0, 0.3]])
    figures = [drawn_figure("bag", Drawn(x, words=words)), redrawn_figure("bag", Drawn(x, words=words), x)]
    for figure in (*figures, topics_figure(x, words)):
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b", "d", "a", "c"]


def test_bags_and_the_means_of_their_words_are_of_one_scale() -> None:
    counts, share = torch.tensor([[2.0, 6.0, 0.0, 2.0]] * 17), torch.tensor([[0.2, 0.5, 0.1, 0.2]] * 17)
    bars = [bar.get_width() for bar in redrawn_figure("bag", Drawn(counts), share).axes[0].patches]
    np.testing.assert_allclose(bars, [0.6, 0.2, 0.2, 0, 0.5, 0.2, 0.2, 0.1], atol=1e-6)
    drawn = drawn_figure("bag", Drawn(counts))
    assert "17 data drawn from the model, the first 16: shares" in drawn.get_suptitle()
    assert "nan" not in str([bar.get_width() for bar in drawn_figure("bag", Drawn(0 * counts)).axes[0].patches])


def test_a_bag_shows_its_most_frequent_words() -> None:
    counts = torch.tensor([[1.0, 5.0, 0.0, 3.0]])
    figure = bags_figure({"data": counts, "model": 2 * counts}, ["a", "b", "c", "d"], title="t")
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "d", "a", "c"]
    assert [bar.get_width() for bar in ax.patches] == [5, 3, 1, 0, 10, 6, 2, 0]


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        (lambda: sequences_figure({"a": torch.rand(2, 3)}, None, title=""), r"rows: got the shapes .*\[N, T, P\]"),
        (lambda: bags_figure({"a": torch.rand(2, 3), "b": torch.rand(2, 4)}, title=""), "counts: got the shapes"),
        (lambda: bags_figure({"a": torch.rand(2, 3)}, ["x"], title=""), "words: got 1, expected one for each of 3"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(figure, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        figure()


def test_pictures_of_means_say_so() -> None:
    def title(x: Tensor, *, means: bool) -> str:
        return drawn_figure("binary", Drawn(x, means=means)).get_suptitle()

    assert title(torch.rand(2, 4), means=True) == "E[x|z] for 2 draws of z from the prior"
