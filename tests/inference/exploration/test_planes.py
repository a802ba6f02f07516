"""Planes: places and points are each other's inverse, directions are those in which posterior and q differ."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elbowroom.inference.exploration.frame import Frame
from elbowroom.inference.exploration.planes import plane_of
from toys.programs import data

NAMES = [f"z[{d}]" for d in range(6)]


def plane(dim: int, posterior: torch.Tensor | None, guide: torch.Tensor | None = None) -> Frame:
    guide = data(4000, dim, seed=1) if guide is None else guide
    return plane_of(NAMES[:dim], guide, posterior, torch.ones(dim))


@settings(max_examples=25, deadline=None)
@given(dim=st.integers(1, 6), seed=st.integers(0, 99), known=st.booleans())
def test_places_are_the_inverse_of_points(dim: int, seed: int, known: bool) -> None:
    mix = data(dim, dim, seed=seed + 100) + 2 * torch.eye(dim)
    found = plane(dim, data(500, dim, seed=seed) if known else None, data(600, dim, seed=seed) @ mix)
    places = data(7, min(dim, 2), seed=seed + 1)
    torch.testing.assert_close(found.places(found.points(places)), places)
    assert bool((found.window[:, 0] < found.window[:, 1]).all()) and len(found.names) == min(dim, 2)


@pytest.mark.parametrize("dim", [1, 2])
def test_of_two_latents_the_plane_is_all_there_is(dim: int) -> None:
    found = plane(dim, data(500, dim))
    assert torch.equal(found.axes, torch.eye(dim)) and found.names == tuple(NAMES[:dim])
    inside = (found.places(data(500, dim)) - found.window[:, 0]) / (found.window[:, 1] - found.window[:, 0])
    assert float(((inside > 0) & (inside < 1)).all(1).double().mean()) > 0.98


@pytest.mark.parametrize(("which", "wide"), [((2, 4), 3.0), ((0, 5), 0.2)])
def test_it_goes_along_the_latents_in_which_they_differ(which: tuple[int, int], wide: float) -> None:
    posterior = data(4000, 6, seed=2)
    posterior[:, which[0]] *= wide
    posterior[:, which[1]] += 2.5
    found = plane(6, posterior)
    share = found.axes.abs() / found.axes.abs().amax(1, keepdim=True)
    assert sorted(share.argmax(1).tolist()) == sorted(which) and int((share > 0.15).sum()) == 2
    assert all(NAMES[d] in found.says for d in which)
    spread = found.places(posterior).std(0)
    assert all(f"{float(value):.2g} times as wide" in found.says for value in spread)
    assert "to the right" in found.says and "to the left" not in found.says


def test_a_correlation_that_q_lacks_is_a_direction() -> None:
    """Each latent by itself has q's spread: only together do they differ."""
    posterior = data(4000, 6, seed=3)
    posterior[:, 1] = 0.99 * posterior[:, 4] + (1 - 0.99**2) ** 0.5 * posterior[:, 1]
    along = plane(6, posterior).axes[0]
    assert sorted(along.abs().topk(2).indices.tolist()) == [1, 4] and float(along[1] * along[4]) < 0


def test_it_goes_through_the_centre_and_the_origin_of_its_axes_is_q_s_mean() -> None:
    posterior, guide = data(4000, 6, seed=2) + 1.0, data(4000, 6, seed=1)
    found = plane(6, posterior, guide)
    centre = torch.ones(6)
    torch.testing.assert_close(found.points(found.places(centre)), centre)
    torch.testing.assert_close(found.places(guide.mean(0)), torch.zeros(2), atol=1e-9, rtol=0)
    torch.testing.assert_close(found.places(guide).std(0), torch.ones(2), atol=1e-3, rtol=0)


def test_few_draws_of_many_dimensions_do_not_make_directions_up() -> None:
    """Second moments of 300 draws in 60 dimensions differ widely by chance; each latent's own does not."""
    posterior = data(300, 60, seed=5)
    posterior[:, 7] *= 2.0
    found = plane_of([f"z[{d}]" for d in range(60)], data(2000, 60, seed=6), posterior, torch.zeros(60))
    assert int(found.axes[0].abs().argmax()) == 7 and "z[7]" in found.says


def test_without_draws_of_the_posterior_q_s_widest_directions_are_taken() -> None:
    guide = data(4000, 4, seed=1) * torch.tensor([1.0, 5.0, 1.0, 3.0])
    found = plane(4, None, guide)
    assert sorted(found.axes.abs().argmax(1).tolist()) == [1, 3] and "q is widest" in found.says


@pytest.mark.parametrize(("wide", "away"), [(1e6, 0.0), (1.0, 1e3)])
def test_a_guide_beside_which_the_posterior_would_be_a_dot_is_not_held(wide: float, away: float) -> None:
    """Nor the one that is as wide and far away, of which nothing would be seen either."""
    posterior = data(500, 2, seed=3)
    found = plane(2, posterior, wide * data(600, 2, seed=4) + away)
    assert torch.equal(found.window, plane(2, posterior, posterior).window)
    near = plane(2, posterior, 2 * data(600, 2, seed=4) + 9)
    assert bool((near.window[:, 1] > 12).all()) and bool((near.window[:, 0] < -2).all())
