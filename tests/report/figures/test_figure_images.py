"""Pictures of data and walks through the latent space: which pixel is whose."""

import numpy as np
import pytest
import torch

from elbowroom.report import (
    image_rows_figure,
    interpolation_figure,
    prior_samples_figure,
    reconstruction_figure,
    traversal_figure,
)
from toys.figures import IMAGE, decode


def test_reconstructions_lie_below_their_originals() -> None:
    x = torch.rand(20, 4)
    figure = reconstruction_figure(x, 1 - x, IMAGE)
    first, second = (np.asarray(ax.images[0].get_array().filled(np.nan)) for ax in figure.axes)
    assert first.shape == (2 * 2 + 1, 16 * 3 - 1)
    np.testing.assert_array_equal(first[:2, 3:5], x[1].reshape(IMAGE))
    np.testing.assert_array_equal(first[3:, 3:5], 1 - x[1].reshape(IMAGE))
    np.testing.assert_array_equal(second[:2, :2], x[16].reshape(IMAGE))
    assert np.isnan(second[:, 4 * 3 :]).all()
    with pytest.raises(ValueError, match="reconstructions: got 3 for 20 originals"):
        reconstruction_figure(x, x[:3], IMAGE)


def test_images_of_an_origin_are_in_a_row() -> None:
    one, other = torch.rand(3, 4), torch.rand(2, 4)
    ax = image_rows_figure({"one": one, "other": other}, IMAGE, title="Two").axes[0]
    canvas = np.asarray(ax.images[0].get_array().filled(np.nan))
    np.testing.assert_array_equal(canvas[:2, 6:8], one[2].reshape(IMAGE))
    np.testing.assert_array_equal(canvas[3:5, 3:5], other[1].reshape(IMAGE))
    assert np.isnan(canvas[3:, 6:]).all() and [t.get_text() for t in ax.get_yticklabels()] == ["one", "other"]
    with pytest.raises(ValueError, match="rows: got none"):
        image_rows_figure({}, IMAGE, title="None")


def test_prior_samples_are_in_reading_order() -> None:
    samples = torch.rand(5, 4)
    canvas = prior_samples_figure(samples, IMAGE).axes[0].images[0].get_array()
    np.testing.assert_array_equal(canvas[3:5, 0:2], samples[3].reshape(IMAGE))


@pytest.mark.parametrize("shape", [(3, 2, 2), (2, 2, 3)])
def test_colours_in_either_order(shape: tuple[int, ...]) -> None:
    samples = torch.rand(4, 12)
    canvas = prior_samples_figure(samples, shape).axes[0].images[0].get_array()
    expected = samples[1].reshape(shape).numpy()
    np.testing.assert_array_equal(canvas[:2, 3:5], np.moveaxis(expected, 0, -1) if shape[0] == 3 else expected)


@pytest.mark.parametrize("shape", [(4,), (2, 2, 2), (2, 3)])
def test_shapes_that_are_no_pictures_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"image_shape: got|samples: got shape \(2, 4\)"):
        prior_samples_figure(torch.rand(2, 4), shape)


def test_a_plane_has_its_first_latent_across_and_its_second_up() -> None:
    ax = traversal_figure(decode, 2, IMAGE, num_steps=5, tail=0.1).axes[0]
    canvas = ax.images[0].get_array()
    edge = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.9)).item()
    assert canvas[0, 0] == pytest.approx(-edge)  # top left: z[0] lowest …
    assert canvas[0, 1] == pytest.approx(edge)  # … and z[1] highest
    assert canvas[-2, -2] == pytest.approx(edge)
    assert canvas[-2, -1] == pytest.approx(-edge)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["-1.3", "-0.5", "0.0", "0.5", "1.3"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["-1.3", "-0.5", "0.0", "0.5", "1.3"]


def test_each_of_many_latents_has_a_row() -> None:
    ax = traversal_figure(decode, 20, IMAGE, num_steps=3, tail=0.1, latents=[0, 19, 4]).axes[0]
    canvas = ax.images[0].get_array()
    edge = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.9)).item()
    np.testing.assert_allclose(canvas[0, ::3], [-edge, 0, edge], atol=1e-12)  # z[0] along its own row
    np.testing.assert_allclose(canvas[0, 1::3], 0, atol=1e-12)
    np.testing.assert_allclose(canvas[3, 1::3], [-edge, 0, edge], atol=1e-12)  # z[19] along its own
    assert [t.get_text() for t in ax.get_yticklabels()] == ["z[0]", "z[19]", "z[4]"]
    assert len(traversal_figure(decode, 20, IMAGE).axes[0].get_yticks()) == 12
    with pytest.raises(ValueError, match=r"latents: got \[20\], expected some of 0 … 19"):
        traversal_figure(decode, 20, IMAGE, latents=[20])


def test_interpolations_begin_and_end_at_the_codes() -> None:
    x = torch.rand(4, 2)

    def encode(x: torch.Tensor) -> torch.distributions.Distribution:
        return torch.distributions.Independent(torch.distributions.Normal(2 * x, 1.0), 1)

    figure = interpolation_figure(decode, encode, [(x[0].repeat(2), x[1].repeat(2))], IMAGE, num_steps=3)
    left, middle, right = (ax.images[0].get_array() for ax in figure.axes)
    np.testing.assert_array_equal(left, x[0].repeat(2).reshape(IMAGE))
    np.testing.assert_array_equal(right, x[1].repeat(2).reshape(IMAGE))
    np.testing.assert_allclose(middle[0, ::3], 2 * np.array([x[0, 0], (x[0, 0] + x[1, 0]) / 2, x[1, 0]]))


def test_a_network_that_returns_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match="returned list, expected a tensor or a distribution"):
        traversal_figure(lambda z: [z], 2, IMAGE)
