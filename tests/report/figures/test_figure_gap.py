"""The room above each bound, and importance sampling against the exact value."""

import math

import numpy as np
import torch

from elbowroom.inference import Estimate, importance, quadrature
from elbowroom.report import gap_figure
from toys.figures import line_of
from toys.report import toy


def test_rooms_are_the_distances_to_the_exact_value() -> None:
    target = toy().target
    sampled, exact = importance(target, num_samples=500, num_particles=(5,)), quadrature(target)
    left, right = gap_figure(sampled, exact).axes[:2]
    x, height = line_of(left, "ELBO")
    np.testing.assert_allclose(x, exact.info["kl_q_p"], atol=4 * sampled.info["elbo_stderr"].max())
    assert (np.abs(height) < 0.5).all()
    means = [line.get_xdata()[0] for line in left.lines if line.get_gid() == "mean"]
    expected = [exact.value - v for v in (sampled.info["elbo"], sampled.info["iwae"][5], sampled.value)]
    np.testing.assert_allclose(means, [room.mean() for room in expected])
    assert [t.get_text() for t in left.get_yticklabels()] == ["ELBO", "IWAE-5", "importance, S = 500"]
    dots = np.concatenate([c.get_offsets() for c in right.collections if c.get_gid() in ("trusted", "flagged")])
    distance = (sampled.value - exact.value) / (sampled.stderr**2 + exact.stderr**2).sqrt()
    np.testing.assert_allclose(sorted(dots[:, 1]), sorted(distance.tolist()), rtol=1e-9)
    assert right.get_title(loc="left") == "log p̂ within 4 s.e. of exact for 3 of 3 data"


def test_flagged_data_are_crosses_and_far_ones_are_counted() -> None:
    value = torch.tensor([-10.0, -10.0, -10.0])
    info = {
        "elbo": value - 1, "elbo_stderr": torch.full((3,), 0.01), "pareto_k": torch.tensor([0.1, 0.9, 0.2]),
        "num_samples": 100,
    }  # fmt: skip
    sampled = Estimate(value, torch.full((3,), 0.1), "lower", info, ("", "heavy", ""))
    exact = Estimate(torch.tensor([-10.1, -5.0, -9.4]), torch.zeros(3), "exact")
    left, right = gap_figure(sampled, exact).axes[:2]
    marks = {c.get_gid(): c.get_offsets() for c in right.collections if c.get_gid()}
    np.testing.assert_allclose(marks["flagged"], [(6.0, -50.0)])
    np.testing.assert_allclose(sorted(marks["trusted"][:, 1]), [-6, 1])
    assert right.get_title(loc="left").endswith("for 1 of 3 data")
    low, high = right.get_ylim()
    assert low < -50
    assert high > 1
    assert "ELBO < log p(x)" in left.get_title(loc="left")


def test_data_that_are_far_off_bear_their_number() -> None:
    value, off = torch.full((30,), -10.0), {7: -9.0, 12: 17.0, 29: -4.2}
    exact = value.clone()
    for datum, sigmas in off.items():
        exact[datum] -= 0.1 * sigmas
    info = {
        "elbo": value - torch.linspace(0.5, 1, 30), "elbo_stderr": torch.full((30,), 0.01), "num_samples": 100,
        "pareto_k": torch.full((30,), 0.2),
    }  # fmt: skip
    sampled = Estimate(value, torch.full((30,), 0.1), "lower", info)
    left, right = gap_figure(sampled, Estimate(exact, torch.zeros(30), "exact")).axes[:2]
    numbers = {text.get_text(): text.xy for text in right.texts if text.get_gid() == "number"}
    assert set(numbers) == {str(datum) for datum in off}
    for datum, sigmas in off.items():
        np.testing.assert_allclose(numbers[str(datum)][1], sigmas, rtol=1e-4)
    assert [text.get_text() for text in left.texts if text.get_gid() == "number"] == ["7"]  # 0.62 + 0.9 nats
    assert "logarithmic beyond" in left.get_xlabel() and "logarithmic beyond 4" not in right.get_ylabel()
    alone = gap_figure(Estimate(value, sampled.stderr, "lower", info | {"pareto_k": torch.arange(30) / 35})).axes[1]
    assert {t.get_text() for t in alone.texts if t.get_gid() == "number"} == {str(b) for b in range(25, 30)}


def test_without_the_exact_value_rooms_are_called_too_small() -> None:
    sampled = importance(toy().target, num_samples=500)
    left, right = gap_figure(sampled).axes[:2]
    assert "too small" in left.get_xlabel()
    dots = np.concatenate([c.get_offsets() for c in right.collections])
    np.testing.assert_allclose(sorted(dots[:, 1]), sorted(sampled.info["pareto_k"].tolist()))


def test_constant_weights_draw_an_empty_panel_without_warnings() -> None:
    value = torch.tensor([-1.0, -2.0])
    info = {
        "elbo": value, "elbo_stderr": torch.zeros(2), "pareto_k": torch.full((2,), -math.inf), "num_samples": 9,
    }  # fmt: skip
    sampled = Estimate(value, torch.zeros(2), "lower", info)
    exact = Estimate(value, torch.zeros(2), "exact")
    for figure, num_dots in ((gap_figure(sampled), 0), (gap_figure(sampled, exact), 2)):  # k̂ = −∞ has no place
        figure.canvas.draw()
        assert sum(len(dots.get_offsets()) for dots in figure.axes[1].collections) == num_dots
