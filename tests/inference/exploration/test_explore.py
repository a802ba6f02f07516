"""What is shown around a datum is what the programs say there: held against densities written by hand."""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from elbowroom.inference import Exploration, Target, audit_target, explore
from elbowroom.inference.exploration.planes import with_window
from elbowroom.inference.exploration.result import ABSENT, Scale
from toys.estimators import Pixels
from toys.programs import TRIPLES, data, gamma_guide, gamma_model, normal, normal_guide, normal_model

W = torch.tensor([[2.0, 0.5, 0.0], [0.0, 1.0, -1.0], [0.3, 0.0, 1.5]], dtype=torch.float64)


def linear(dim: int, scale: float = 0.5) -> Target:
    """z ~ N(0, I), x | z ~ N(z W, I): Gaussian posteriors, and a guide that is too narrow along its first latent."""
    weight = W[:dim].to(torch.get_default_dtype())
    covariance = torch.linalg.inv(torch.eye(dim) + weight @ weight.T)
    sd = covariance.diagonal().sqrt() * torch.tensor([scale] + [1.0] * (dim - 1))

    def model(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(dim), 1.0).to_event(1))
            pyro.sample("x", dist.Normal(z @ weight, 1.0).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x @ weight.T @ covariance, sd).to_event(1))

    return Target(model, guide, data(9, 3, seed=4))


def quickly(target: Target, **options: Any) -> Exploration:
    """After an audit that has time for importance sampling alone, and lattices."""
    return explore(audit_target(target, budget=0.3), budget=60.0, **options)


@cache
def explored(dim: int) -> Exploration:
    return quickly(linear(dim))


DIMS = pytest.mark.parametrize("dim", [pytest.param(d, marks=[] if d == 2 else [pytest.mark.slow]) for d in (1, 2, 3)])


def by_hand(dim: int, x: Tensor, u: Tensor) -> Tensor:
    return normal(0.0, 1.0, u).sum(-1) + normal(u @ W[:dim], 1.0, x).sum(-1)


@DIMS
def test_densities_on_a_plane_are_those_of_the_programs(dim: int) -> None:
    target, found = linear(dim), explored(dim)
    assert sorted(view.datum for view in found.views) == list(range(9)) and not found.notices
    for view in found.views:
        u = view.frame.points(view.frame.lattice(len(view.log_joint)))
        x = target.args[0][view.datum]
        torch.testing.assert_close(view.log_joint, by_hand(dim, x, u), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(view.log_prior, normal(0.0, 1.0, u).sum(-1), rtol=1e-10, atol=1e-10)
        z = {"z": u.reshape(-1, 1, dim)}
        one = target.select([view.datum])
        torch.testing.assert_close(view.log_q.flatten(), one.log_guide(z)[:, 0], rtol=1e-10, atol=1e-10)


@DIMS
def test_the_window_holds_the_posterior(dim: int) -> None:
    if dim > 2:
        return  # a slice holds no mass
    for view in explored(dim).views:
        width = (view.frame.window[:, 1] - view.frame.window[:, 0]) / (len(view.log_joint) - 1)
        mass = view.log_joint.exp().sum() * width.prod()
        target = linear(dim)
        covariance = torch.eye(3) + W[:dim].T @ W[:dim]
        evidence = dist.MultivariateNormal(torch.zeros(3), covariance).log_prob(target.args[0][view.datum])
        assert abs(float(mass.log() - evidence)) < 0.01


@pytest.mark.slow
def test_the_plane_of_three_latents_goes_where_q_is_wrong() -> None:
    for view in explored(3).views:
        assert int(view.frame.axes[0].abs().argmax()) == 0  # the latent along which q is half as wide
        assert "slice" in view.says[0]
        spread = float(view.posterior.std(0)[0])  # times as wide as q
        assert abs(spread - 2.0) < 0.5 and " times as wide as q" in view.frame.says
        top = view.log_joint.max()
        best = by_hand(3, linear(3).args[0][view.datum], view.frame.points(view.modes[0]))
        assert float(best) > float(top) - 0.3


@DIMS
def test_modes_draws_and_codes_are_where_they_should_be(dim: int) -> None:
    target = linear(dim)
    covariance = torch.linalg.inv(torch.eye(dim) + W[:dim] @ W[:dim].T)
    for view in explored(dim).views:
        mean = target.args[0][view.datum] @ W[:dim].T @ covariance
        place = view.frame.places(mean)
        sd = (view.frame.duals @ covariance @ view.frame.duals.T).diagonal().sqrt()
        assert len(view.modes) == 1 and bool(((view.modes[0] - place).abs() < 0.05 * sd).all())
        assert view.posterior is not None and view.posterior.shape == (200, min(dim, 2))
        assert bool(((view.posterior.mean(0) - place).abs() < 5 * sd / math.sqrt(100)).all())
        assert bool(((view.code - place).abs() < 5 * sd / math.sqrt(128)).all())


@DIMS
def test_what_is_decoded_is_the_mean_in_steps_of_the_scale(dim: int) -> None:
    found = explored(dim)
    for view in found.views:
        decoded, frame = (found.decoded, found.map) if dim <= 2 else (view.decoded, view.frame)
        assert decoded is not None and (view.decoded is None) == (dim <= 2)
        window, size = decoded.window, decoded.mean.shape[0]
        assert bool((window[:, 0] <= view.frame.window[:, 0]).all() and (window[:, 1] >= view.frame.window[:, 1]).all())
        u = frame.points(with_window(frame, window).lattice(size))
        step = (found.scale.high - found.scale.low) / 254
        values = found.scale.low + step * decoded.mean.double()
        expected = (u @ W[:dim]).clamp(found.scale.low, found.scale.high)
        assert float((values - expected).abs().max()) < 0.51 * step
    assert torch.equal(found.x, found.scale.bytes_of(linear(dim).args[0]))


def test_the_ladder_leads_from_the_elbo_to_log_p() -> None:
    found = explored(2)
    covariance = torch.eye(3) + W[:2].T @ W[:2]
    evidence = dist.MultivariateNormal(torch.zeros(3), covariance).log_prob(linear(2).args[0])
    for view in found.views:
        names = [rung.name for rung in view.ladder]
        assert names[0] == "ELBO" and names[-2:] == ["log p(x), from below", "log p(x), from above"]
        assert abs(view.ladder[-1].value - float(evidence[view.datum])) < 1e-4
        assert view.ladder[0].value < view.ladder[-1].value
    rooms = [float(found.columns["room"].values[view.datum]) for view in found.views]
    assert rooms == sorted(rooms, reverse=True)


@pytest.mark.slow
def test_a_support_is_seen_in_its_coordinates() -> None:
    """Densities are those of u = log rate, with the Jacobian, and what is decoded is E[x | rate]."""
    x = torch.tensor([0.0, 3.0, 9.0])
    found = quickly(Target(gamma_model, gamma_guide, x))
    assert found.is_constrained and len(found.latents) == 1
    for view in found.views:
        u = view.frame.points(view.frame.lattice(len(view.log_joint)))[:, 0]
        rate = u.exp()
        expected = dist.Gamma(2.0, 0.5).log_prob(rate) + dist.Poisson(rate).log_prob(x[view.datum]) + u
        torch.testing.assert_close(view.log_joint, expected)


@pytest.mark.slow
def test_two_calls_with_a_budget_of_evaluations_give_the_same() -> None:
    one, other = (explore(linear(2), budget="3e5 evaluations", seed=2) for _ in range(2))
    assert [view.datum for view in one.views] == [view.datum for view in other.views]
    for a, b in zip(one.views, other.views, strict=True):
        assert torch.equal(a.log_joint, b.log_joint) and torch.equal(a.guide, b.guide)


@pytest.mark.slow
def test_a_budget_that_is_spent_is_told() -> None:
    target = Pixels(2).target()
    many = target.select([b % 7 for b in range(30)])
    found = explore(audit_target(many, budget=2.0), budget=1e-6)
    assert len(found.views) == 2
    assert found.notices == ("Planes are shown around 2 of 30 data: the budget of 1e-06 s had no room for more.",)


@pytest.mark.slow
def test_the_data_that_are_asked_for_are_shown_in_that_order() -> None:
    found = explore(audit_target(linear(2), budget=5.0), data=[7, 2], budget=60.0, labels=torch.arange(9) % 3)
    assert [view.datum for view in found.views] == [7, 2] and found.columns["label"].is_label
    assert found.notices == ("Planes are shown around 2 of 9 data.",)


@pytest.mark.slow
def test_earlier_moments_are_on_the_same_map() -> None:
    now, before = linear(2), linear(2, 2.0)
    found = quickly(now, data=[0], moments={"epoch 1": before, "epoch 2": now})
    assert [moment.name for moment in found.moments] == ["epoch 1", "epoch 2"]
    torch.testing.assert_close(found.moments[1].codes, found.codes)
    assert found.moments[0].columns["ELBO"].mean() < found.moments[1].columns["ELBO"].mean() - 0.2


@pytest.mark.slow
def test_functions_have_planes_and_no_pictures() -> None:
    found = quickly(Pixels(2).target_of_functions(), data=[0, 1])
    assert found.decoded is None and all(view.again is None for view in found.views) and found.x.shape == (7, 0)
    assert "What the model makes of a point is not shown" in found.notices[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inner_plate", "masked_pixels", "regression", "hierarchical"])
def test_programs_of_all_kinds(name: str) -> None:
    triple = TRIPLES[name]()
    target = triple.target()
    found = quickly(target, data=[0])
    view = found.views[0]
    assert bool(view.log_joint.isfinite().any()) and len(view.frame.axes) == min(2, len(found.latents))
    assert found.x.shape[0] == len(target)
    if name == "masked_pixels":
        assert bool((found.x == ABSENT).any())


def test_bytes_are_steps_and_what_is_not_there_is_marked() -> None:
    found = Scale(-1.0, 3.0).bytes_of(torch.tensor([-1.0, 3.0, 1.0, 9.0, -9.0, math.nan]))
    assert found.tolist() == [0, 254, 127, 254, 0, ABSENT]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data": [99]}, "data"),
        ({"labels": torch.zeros(3)}, "labels: got the shape"),
        ({"columns": {"mine": torch.zeros(2)}}, r"columns\['mine'\]: got the shape"),
        ({"budget": -1.0}, "budget"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], told: str) -> None:
    with pytest.raises((ValueError, IndexError), match=told):
        explore(audit_target(linear(1), budget=0.3), **{"budget": 5.0, **changes})


def test_an_audit_from_elsewhere_is_refused() -> None:
    found = replace(audit_target(Target(normal_model, normal_guide(1.0), data(4)), budget=0.1), target=None)
    with pytest.raises(ValueError, match="audit without its target"):
        explore(found)
