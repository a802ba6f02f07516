"""EM of mixtures: monotone, at a stationary point, as scikit-learn; empty components, equal data, what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from elbowroom.datasets import load
from elbowroom.models import Mixture
from elbowroom.models import expectation_maximisation as em

P = 5
OPTIONS: dict[str, dict[str, Any]] = {
    "bernoulli": {},
    "categorical": {"likelihood_options": {"levels": 4}},
    "normal-fixed": {"sigma": 0.7},
    "normal-learned": {},
    "normal-heteroscedastic": {},
}
every_likelihood = pytest.mark.parametrize("likelihood", OPTIONS)


def clusters(likelihood: str, num_data: int = 120) -> Tensor:
    centres = 2 * torch.randn(3, P)
    x = centres[torch.arange(num_data) % 3] + torch.randn(num_data, P)
    if likelihood == "categorical":
        return (1.5 + x).round().clamp(0, 3)
    return (x > 0).double() if likelihood == "bernoulli" else 5 + x


def log_prior(model: Mixture, x: Tensor, likelihood: str) -> Tensor:
    """a = 1 of the Dirichlet prior and the components' conjugate ones, up to a constant, written out in nats."""
    dirichlet = model.weights.log().sum()
    p_x = model.decode(torch.arange(model.num_components))
    if likelihood == "bernoulli":
        share = (x.sum(0) + 1) / (len(x) + 2)
        return dirichlet + (share * p_x.mean.log() + (1 - share) * (1 - p_x.mean).log()).sum()
    if likelihood == "categorical":
        share = torch.stack([(x == level).sum(0) + 1 for level in range(4)], -1) / (len(x) + 4)
        return dirichlet + (share * p_x.logits.log_softmax(-1)).sum()
    mean, variance = x.mean(0), x.var(0, correction=0)
    expected = variance + (p_x.mean - mean).square()  # of (x − m)², x with the mean and variance of all data
    return dirichlet - (p_x.variance.log() + expected / p_x.variance).sum() / 2


@every_likelihood
@pytest.mark.parametrize("concentration", [0.0, 1.0])
def test_the_objective_rises_to_a_stationary_point_of_the_gradient(likelihood: str, concentration: float) -> None:
    x = clusters(likelihood)
    model, trace, converged = Mixture.fit_em(
        x, 3, likelihood=likelihood, concentration=concentration, tolerance=1e-14, max_steps=3000, **OPTIONS[likelihood]
    )
    assert converged and (trace.diff() > -1e-8).all() and trace[-1] > trace[0] + 0.05
    objective = (model.log_prob(x).sum() + concentration * log_prior(model, x, likelihood)) / len(x)
    if concentration == 0:
        torch.testing.assert_close(objective.detach(), trace[-1])
    gradients = torch.autograd.grad(objective, list(model.parameters()))
    assert all(gradient.abs().max() < 2e-6 for gradient in gradients), [g.abs().max() for g in gradients]


@pytest.mark.slow
def test_digits_never_fall_and_are_learnt() -> None:
    x = load("digits", binarize="threshold")
    assert Mixture.fit_em(x.train, 50, num_starts=10).model.log_prob(x.test).mean() > -17.4
    model, trace, converged = Mixture.fit_em(x.train, 50)
    assert converged and (trace.diff() > -1e-8).all()
    assert model.weight_logits.dtype == torch.float32
    torch.testing.assert_close(
        Mixture.fit_em(x.train.double(), 50).model.log_prob(x.test.double()),
        model.log_prob(x.test).double(),
        rtol=1e-5,
        atol=1e-4,
    )


def test_scikit_learn_from_the_same_start_ends_at_the_same_value() -> None:
    x = clusters("normal-heteroscedastic", 200)
    told: dict[str, Any] = {"likelihood": "normal-heteroscedastic", "concentration": 0.0, "floor": 0.0}
    start = Mixture.fit_em(x, 3, **told, max_steps=0).model
    p_x = start.decode(torch.arange(3))
    other = GaussianMixture(
        3,
        covariance_type="diag",
        tol=1e-9,
        reg_covar=0.0,
        max_iter=2000,
        weights_init=start.weights.detach().numpy(),
        means_init=p_x.mean.detach().numpy(),
        precisions_init=(1 / p_x.variance).detach().numpy(),
    ).fit(x.numpy())
    model = Mixture.fit_em(x, 3, **told, tolerance=1e-9, max_steps=2000).model
    ours, theirs = model.log_prob(x).detach().numpy(), other.score_samples(x.numpy())
    assert np.abs(ours - theirs).max() < 1e-3
    assert ours.mean() > start.log_prob(x).mean().item() + 0.1


@every_likelihood
@pytest.mark.parametrize("concentration", [0.0, 1.0])
def test_more_components_than_different_data(likelihood: str, concentration: float) -> None:
    """Of equal components some empty or share; nothing is NaN, nothing falls."""
    x = clusters(likelihood, 4).repeat(5, 1)
    model, trace, _ = Mixture.fit_em(
        x, 9, likelihood=likelihood, concentration=concentration, max_steps=200, **OPTIONS[likelihood]
    )
    assert (trace.diff() > -1e-8).all() and trace.isfinite().all()
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert model.log_prob(x).isfinite().all() and model.generate(3).mean.isfinite().all()


def test_an_empty_component_has_no_weight_and_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It starts so far from all data that every responsibility underflows to zero."""

    def far(statistics: Tensor, *_: Any) -> Tensor:
        mean = statistics.mean(0)
        return torch.stack([mean, torch.where(mean == 1, 1.0, 1e3)])

    monkeypatch.setattr(em, "_start", far)
    x = torch.randn(50, P)
    model, trace, converged = Mixture.fit_em(x, 2, likelihood="normal-fixed", sigma=0.5, concentration=0.0)
    assert converged and (trace.diff() > -1e-8).all() and model.table.isfinite().all()
    torch.testing.assert_close(model.weights.detach(), torch.tensor([1.0, 0.0]), rtol=0, atol=1e-9)


def test_the_seed_alone_decides_and_no_global_state_is_used() -> None:
    x, state = clusters("bernoulli"), torch.get_rng_state()
    one, two, other = (Mixture.fit_em(x, 4, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.trace, two.trace) and torch.equal(one.model.table, two.model.table)
    assert not torch.equal(one.model.table, other.model.table)


@pytest.mark.parametrize("likelihood", ["bernoulli", "normal-learned"])
def test_of_several_starts_the_highest_is_returned(likelihood: str) -> None:
    """The model is of the best end, not of the last; of maximum likelihood, L is log p."""
    x = clusters(likelihood)
    options = {"likelihood": likelihood, "concentration": 0.0}
    ends = [Mixture.fit_em(x, 6, num_starts=n, **options) for n in (1, 2, 6)]
    tops = [float(end.trace[-1]) for end in ends]
    assert tops == sorted(tops) and tops[-1] > tops[0] + 1e-3
    for end, top in zip(ends, tops, strict=True):
        assert end.model.log_prob(x).mean().item() == pytest.approx(top, abs=1e-5)


def test_it_stops_where_it_is_told() -> None:
    x = clusters("bernoulli")
    start, some = (Mixture.fit_em(x, 4, max_steps=steps) for steps in (0, 3))
    assert (len(start.trace), len(some.trace)) == (1, 4) and not start.converged and not some.converged
    assert torch.equal(some.trace[:1], start.trace)
    rough = Mixture.fit_em(x, 4, tolerance=1e-2)
    assert rough.converged and rough.trace[-1] - rough.trace[-2] < 1e-2 <= rough.trace[-2] - rough.trace[-3]


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        ([[0.0]], {}, TypeError, "x: got list, expected a floating-point tensor"),
        (torch.full((4, 2), torch.nan), {}, ValueError, "x: got NaN"),
        (torch.full((4, 2), 0.5), {}, ValueError, "neither 0 nor 1"),
        (torch.zeros(1, 2), {}, ValueError, "num_components: got 2, expected at most the 1 data"),
        (torch.zeros(4, 2), {"likelihood": "poisson"}, ValueError, "likelihood: got 'poisson', expected one of 'bern"),
        (
            torch.zeros(4, 2),
            {"concentration": -1.0},
            ValueError,
            "concentration must be a number .*, got -1.0",
        ),
        (torch.zeros(4, 2), {"max_steps": -1}, ValueError, "max_steps must be an integer from 1 to .*, got -1"),
        (torch.zeros(4, 2), {"num_starts": 0}, ValueError, "num_starts must be an integer from 1 to .*, got 0"),
        (torch.zeros(4, 2), {"likelihood": "normal-learned", "floor": 0.0}, ValueError, "all the same"),
    ],
)
def test_errors(x: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Mixture.fit_em(x, 2, **options)
