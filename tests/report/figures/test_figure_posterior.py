"""The posterior figure: contours, draws and modes are where the mathematics puts them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.contour import QuadContourSet

from elbowroom.report import posterior_figure
from elbowroom.report.figures.corner import chosen_latents
from elbowroom.report.figures.density_mesh import meshes, region_levels
from toys.figures import IMAGE, line_of
from toys.report import DATA, toy


def test_mesh_holds_both_densities() -> None:
    """log p up to a constant, log q exactly, at every point that is not clamped."""
    made = toy()
    mesh = meshes(made.target, made.comparison)[1]
    points = torch.cartesian_prod(*(torch.from_numpy(axis) for axis in mesh.axes))
    expected = made.posterior(made.x[DATA[1] : DATA[1] + 1]).log_prob(points).reshape([len(a) for a in mesh.axes])
    assert mesh.log_p is not None
    difference = mesh.log_p - expected.numpy()
    kept = mesh.log_p > mesh.log_p.max() - 50
    assert np.ptp(difference[kept]) < 1e-9
    z = points.reshape(-1, 1, 2)
    log_q = made.target.select([DATA[1]]).log_guide({"z": z}).reshape(expected.shape).numpy()
    assert mesh.log_q is not None
    kept = mesh.log_q > mesh.log_q.max() - 50
    np.testing.assert_allclose(mesh.log_q[kept], log_q[kept], atol=1e-9)


def test_regions_of_a_gaussian_are_those_of_chi_squared() -> None:
    """A region of mass m of a Gaussian in two dimensions ends −2 log(1 − m) / 2 nats below its top."""
    made = toy()
    for mesh in meshes(made.target, made.comparison):
        for density in (mesh.log_p, mesh.log_q):
            assert density is not None
            levels = region_levels(mesh, density, (0.5, 0.95))
            drops = [density.max() - level for level in levels]
            np.testing.assert_allclose(drops, [-math.log(0.5), -math.log(0.05)], atol=0.06)


def test_contours_draws_and_mode_are_where_they_should_be() -> None:
    made = toy()
    figure = posterior_figure(made.target, made.comparison)
    for b, ax in enumerate(figure.axes):
        regions, guide = (c for c in ax.collections if isinstance(c, QuadContourSet))
        exact = made.posterior(made.x[DATA])
        center, reach = exact.mean[b], 2.4477 * exact.variance[b].sqrt()  # χ² with 2 degrees of freedom, 95 %
        box = regions.get_paths()[1].get_extents()  # between the 95 % and the 50 % line
        np.testing.assert_allclose(box.min, center - reach, atol=0.03)
        np.testing.assert_allclose(box.max, center + reach, atol=0.03)
        q = made.comparison.evidence["quadrature"].info
        box = guide.get_paths()[0].get_extents()
        np.testing.assert_allclose(box.min, q["guide_mean"][b] - 2.4477 * q["guide_sd"][b], atol=0.02)
        np.testing.assert_allclose(box.max, q["guide_mean"][b] + 2.4477 * q["guide_sd"][b], atol=0.02)
        draws = made.comparison.draws
        assert draws is not None
        shown = np.stack(line_of(ax, "draws"), 1)
        np.testing.assert_array_equal(shown, draws.flat[:, :, b].flatten(0, 1)[: len(shown)])
        np.testing.assert_allclose(np.ravel(line_of(ax, "mode")), center, atol=1e-6)
        assert any(f"datum {DATA[b]}:" in text.get_text() for text in ax.texts)


def test_the_axes_reach_over_q_wherever_it_is() -> None:
    """A guide far from the posterior is still in the picture."""
    made = toy(scale=0.3, shift=6.0)
    ax = posterior_figure(made.target, made.comparison, DATA[0]).axes[0]
    for limits, latent in ((ax.get_xlim(), 0), (ax.get_ylim(), 1)):
        for posterior in (made.comparison.posteriors["guide"], made.comparison.posteriors["quadrature"]):
            assert limits[0] < posterior.grid[3, 0, latent] < posterior.grid[-4, 0, latent] < limits[1]


def test_a_datum_and_its_picture_are_chosen_together() -> None:
    made = toy()
    figure = posterior_figure(made.target, made.comparison, DATA[1], images=made.x[DATA], image_shape=IMAGE)
    (ax,) = figure.axes
    (inset,) = ax.child_axes
    np.testing.assert_array_equal(inset.images[0].get_array(), made.x[DATA[1]].reshape(IMAGE))
    with pytest.raises(ValueError, match=r"data: got \[1\], expected some of the compared ones, \[2, 0\]"):
        posterior_figure(made.target, made.comparison, 1)
    with pytest.raises(ValueError, match="images: got 3, expected 2"):
        posterior_figure(made.target, made.comparison, images=made.x, image_shape=IMAGE)


def test_doubts_are_written_into_the_panel() -> None:
    made = toy()
    sampled = made.comparison.evidence["importance"]
    info = sampled.info | {"pareto_k": torch.tensor([1.234, 0.1])}
    heavy = replace(sampled, info=info, flags=("too heavy", ""))
    doubted = replace(made.comparison, evidence=made.comparison.evidence | {"importance": heavy})
    first, second = posterior_figure(made.target, doubted).axes
    assert any("untrusted: importance" in t.get_text() and "1.23" in t.get_text() for t in first.texts)
    assert not any("untrusted" in t.get_text() for t in second.texts)


def test_one_latent_is_shown_as_densities() -> None:
    made = toy(1)
    for b, ax in enumerate(posterior_figure(made.target, made.comparison).axes):
        exact = made.posterior(made.x[DATA])
        x, density = line_of(ax, "exact")
        expected = torch.distributions.Normal(exact.mean[b], exact.variance[b].sqrt()).log_prob(torch.tensor(x)).exp()
        np.testing.assert_allclose(density, expected, atol=5e-3)
        info = made.comparison.evidence["quadrature"].info
        x, density = line_of(ax, "guide")
        q = torch.distributions.Normal(info["guide_mean"][b, 0], info["guide_sd"][b, 0])
        np.testing.assert_allclose(density, q.log_prob(torch.tensor(x)).exp(), atol=5e-3)


@pytest.mark.slow
def test_three_latents_are_shown_pairwise() -> None:
    made = toy(3)
    figure = posterior_figure(made.target, made.comparison, DATA[0])
    assert len(figure.axes) == 9
    pair = figure.axes[3 * 2 + 1]  # z[2] over z[1]
    draws = made.comparison.draws
    assert draws is not None
    x, y = line_of(pair, "draws")
    z = draws.flat[:, :, 0].flatten(0, 1)
    step = len(z) // len(x)
    np.testing.assert_array_equal(np.stack([x, y], 1), z[::step][: len(x)][:, [1, 2]])
    assert (pair.get_xlabel(), figure.axes[6].get_ylabel()) == ("z[1]", "z[2]")


def test_of_many_latents_those_are_shown_that_q_gets_most_wrong() -> None:
    made = toy(6)
    guide, nuts = made.comparison.posteriors["guide"], made.comparison.posteriors["nuts"]
    judged = replace(made.comparison, reference="nuts", wasserstein={"guide": (guide.grid - nuts.grid).abs().mean(0)})
    figure = posterior_figure(made.target, judged, DATA[0])
    assert len(figure.axes) == 16
    score = judged.wasserstein["guide"][0] / nuts.sd[0]
    worst = sorted(score.topk(4).indices.tolist())
    assert [ax.get_xlabel() for ax in figure.axes[12:]] == [f"z[{n}]" for n in worst]


def test_a_guide_without_density_is_shown_by_its_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    made = toy()

    def unknown(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(type(made.target), "log_guide", unknown)
    ax = posterior_figure(made.target, made.comparison, DATA[0]).axes[0]
    shown = np.stack(line_of(ax, "guide"), 1)
    np.testing.assert_array_equal(shown, made.comparison.guide_draws[: len(shown), 0])


def test_constants_of_a_support_are_not_drawn() -> None:
    """Of four latents with a spread all are shown, whatever is wrong with the others."""
    several = toy(6).comparison
    guide = several.posteriors["guide"]
    sd = guide.sd.clone()
    sd[:, [0, 3]] = 0.0
    constant = replace(several, posteriors={**several.posteriors, "guide": replace(guide, sd=sd)})
    assert chosen_latents(constant, 0) == [1, 2, 4, 5]
    assert len(chosen_latents(several, 0)) == 4
