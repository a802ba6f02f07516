"""Whether a guide's support is a proper subset of the model's: by bounds where there are any, else by draws."""

import math
from typing import Any

import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import constraints, transforms
from torch import Tensor

from elbowroom.inference.programs.supports import interval, narrower

ZERO, ONE = torch.zeros(3), torch.ones(3)
SPLINE = transforms.Spline(3, count_bins=4, bound=2.0)
FAMILIES: dict[str, Any] = {
    "normal": dist.Normal(ZERO, 1.0),
    "student": dist.StudentT(3.0, ZERO, 1.0),
    "lognormal": dist.LogNormal(ZERO, 1.0),
    "half-normal": dist.HalfNormal(ONE),
    "gamma": dist.Gamma(ONE, 1.0),
    "beta": dist.Beta(ONE, 1.0),
    "uniform": dist.Uniform(ZERO, ONE),
    "inner uniform": dist.Uniform(ZERO + 0.1, ONE - 0.1),
    "wide uniform": dist.Uniform(ZERO - 1, ONE),
    "logit-normal": dist.TransformedDistribution(dist.Normal(ZERO, 1.0), [transforms.SigmoidTransform()]),
    "scaled logit-normal": dist.TransformedDistribution(
        dist.Normal(ZERO, 1.0), [transforms.SigmoidTransform(), transforms.AffineTransform(-1.0, 2.0)]
    ),
    "negative": dist.TransformedDistribution(
        dist.Normal(ZERO, 1.0), [transforms.ExpTransform(), transforms.AffineTransform(0.0, -1.0)]
    ),
    "spline": dist.TransformedDistribution(dist.Normal(ZERO, 1.0).to_event(1), [SPLINE]),
    "mixture": dist.MixtureSameFamily(
        dist.Categorical(logits=torch.zeros(3, 2)),
        dist.Uniform(torch.tensor([[0.0, 0.4]] * 3), torch.tensor([0.6, 1.0])),
    ),
    "von Mises": dist.VonMises(ZERO, 1.0),
}


@pytest.mark.parametrize(
    ("guide", "model", "expected"),
    [
        ("normal", "normal", False),
        ("student", "normal", False),
        ("normal", "lognormal", False),  # wider: weights are zero there
        ("spline", "normal", False),
        ("lognormal", "normal", True),
        ("uniform", "normal", True),
        ("half-normal", "normal", True),
        ("negative", "normal", True),
        ("negative", "lognormal", True),
        ("lognormal", "gamma", False),
        ("gamma", "half-normal", False),
        ("beta", "lognormal", True),
        ("beta", "uniform", False),
        ("logit-normal", "beta", False),  # whose clamps are rounding
        ("inner uniform", "uniform", True),
        ("uniform", "inner uniform", False),
        ("uniform", "wide uniform", True),
        ("scaled logit-normal", "wide uniform", False),
        ("scaled logit-normal", "normal", True),  # though torch says that its support is real
        ("logit-normal", "scaled logit-normal", True),
        ("mixture", "uniform", False),
        ("mixture", "wide uniform", True),
        ("von Mises", "normal", True),
        ("normal", "von Mises", False),
    ],
)
@pytest.mark.parametrize("event", [False, True])
def test_real_elements(guide: str, model: str, expected: bool, event: bool) -> None:
    q, p = (_as_event(FAMILIES[name], event) for name in (guide, model))
    assert bool(narrower(q, p, ZERO).any()) == expected
    assert bool(narrower(q.mask(True), p, ZERO).any()) == expected


def _as_event(fn: Any, event: bool) -> Any:
    return fn.to_event(1) if event and not fn.event_shape else fn


def test_which_elements() -> None:
    marks = narrower(dist.Uniform(torch.tensor([0.0, -1.0, 0.0]), ONE), dist.Uniform(ZERO - 1, ONE), ZERO)
    assert marks.tolist() == [True, False, True]


def simplex() -> Any:
    return dist.Dirichlet(torch.ones(2, 3))


@pytest.mark.parametrize(
    ("guide", "model", "expected"),
    [
        (simplex(), simplex(), False),
        (dist.Normal(torch.zeros(2, 3), 1.0).to_event(1), simplex(), False),
        (simplex(), dist.Normal(torch.zeros(2, 3), 1.0).to_event(1), True),
        (simplex(), dist.LogNormal(torch.zeros(2, 3), 1.0).to_event(1), True),
        (dist.MultivariateNormal(torch.zeros(3), torch.eye(3)), dist.Normal(torch.zeros(3), 1.0).to_event(1), False),
        (dist.LKJCholesky(3).expand([2]), dist.LKJCholesky(3).expand([2]), False),
        (dist.ProjectedNormal(torch.ones(2, 3)), dist.Normal(torch.zeros(2, 3), 1.0).to_event(1), True),
    ],
)  # fmt: skip
def test_vectors_and_matrices(guide: Any, model: Any, expected: bool) -> None:
    value = model.sample()
    assert bool(narrower(guide, model, value).any()) == expected


@pytest.mark.parametrize(
    ("guide", "model", "expected"),
    [
        (dist.Binomial(4, torch.full((3,), 0.5)), dist.Poisson(ONE), True),
        (dist.Poisson(ONE), dist.Poisson(ONE), False),
        (dist.Bernoulli(ONE * 0.5), dist.Bernoulli(ONE * 0.5), False),
        (dist.Categorical(torch.ones(3, 2)), dist.Categorical(torch.ones(3, 4)), True),
        (dist.Categorical(torch.ones(3, 4)), dist.Categorical(torch.ones(3, 4)), False),
        (dist.Poisson(ONE), dist.Normal(ZERO, 1.0), True),
    ],
)
def test_counts_and_labels(guide: Any, model: Any, expected: bool) -> None:
    assert bool(narrower(guide, model, ZERO).any()) == expected


def test_bounds_of_transforms_are_those_of_their_values() -> None:
    low, high = interval(FAMILIES["scaled logit-normal"]) or (ZERO, ZERO)
    assert math.isclose(float(low), -1.0, abs_tol=1e-5) and math.isclose(float(high), 1.0, abs_tol=1e-5)


class Silent(dist.Normal):
    """States no support."""

    @property
    def support(self) -> Any:
        raise NotImplementedError


def test_a_distribution_that_states_no_support_says_nothing() -> None:
    assert not bool(narrower(Silent(ZERO, 1.0), dist.Normal(ZERO, 1.0), ZERO).any())
    assert interval(Silent(ZERO, 1.0)) is None


def test_a_constraint_without_bounds_is_tried_on_the_priors_draws() -> None:
    class Odd(constraints.Constraint):
        def check(self, value: Tensor) -> Tensor:
            return value.abs() > 0.5

    class Away(dist.Normal):
        support = Odd()

    assert bool(narrower(Away(ZERO, 1.0), dist.Normal(ZERO, 1.0), ZERO).all())
    assert not bool(narrower(Away(ZERO, 1.0), dist.Uniform(ZERO + 1, ONE + 1), ZERO).any())
