"""The batched logistic regression against scikit-learn's, and its accuracy where that is known."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from elbowroom.inference.diagnostics.agreement.classifier import features, fit_logistic, two_sample

linear_model = pytest.importorskip("sklearn.linear_model")


def test_newton_finds_the_coefficients_of_scikit_learn() -> None:
    z = torch.randn(200, 3, 2)  # [n, B, N]
    y = (z[..., 0] + 0.5 * z[..., 1].square() + torch.randn(200, 3) > 0.5).double().T
    x = features(z, torch.zeros(3, 2), torch.eye(2).expand(3, 2, 2), torch.ones(3, 2))
    beta = fit_logistic(x, y, ridge=2.0)
    for b in range(3):
        peer = linear_model.LogisticRegression(C=0.5, tol=1e-10, max_iter=1000)
        peer.fit(x[b, :, 1:].numpy(), y[b].numpy())
        theirs = torch.cat([torch.tensor(peer.intercept_), torch.tensor(peer.coef_[0])])
        torch.testing.assert_close(beta[b], theirs, atol=1e-5, rtol=1e-5)


def test_separable_data_do_not_break_it() -> None:
    x = torch.cat([torch.ones(1, 40, 1), torch.linspace(-8, 8, 40).reshape(1, 40, 1)], -1)
    beta = fit_logistic(x, (x[..., 1] > 0).double())
    assert bool(beta.isfinite().all())
    assert bool(((x @ beta.unsqueeze(-1)).squeeze(-1) > 0).eq(x[..., 1] > 0).all())


def sides(q: Tensor, p: Tensor) -> SimpleNamespace:
    return SimpleNamespace(q=q, p=p)


@pytest.mark.parametrize("shift", [0.0, 1.0, 3.0])
def test_the_accuracy_of_a_shift_is_that_of_the_best_classifier(shift: float) -> None:
    q, p = torch.randn(1000, 100, 3), torch.randn(4, 250, 100, 3)
    p[..., 1] += shift
    accuracy, stderr = two_sample(sides(q, p), torch.full((100,), 1000.0))  # type: ignore[arg-type]
    truth = 0.5 * (1 + math.erf(shift / 2 / math.sqrt(2)))
    score = (accuracy - truth) / stderr
    assert abs(float(score.mean())) < 4 / math.sqrt(100) + 0.3  # finite lessons: the classifier is not quite the best
    assert 0.7 < float(score.std()) < 1.3


def test_correlations_and_scales_are_seen_without_cross_terms() -> None:
    q, p = torch.randn(500, 30, 4), torch.randn(4, 125, 30, 4)
    p[..., 1] = 0.95 * p[..., 0] + math.sqrt(1 - 0.95**2) * p[..., 1]
    assert float(two_sample(sides(q, p), torch.full((30,), 500.0))[0].mean()) > 0.75  # type: ignore[arg-type]
    accuracy, _ = two_sample(sides(q, 3 * torch.randn(4, 125, 30, 4)), torch.full((30,), 500.0))  # type: ignore[arg-type]
    assert float(accuracy.mean()) > 0.85


def test_a_direction_without_variance_is_left_out() -> None:
    q, p = torch.rand(400, 5, 3), torch.rand(4, 100, 5, 3)
    q, p = q / q.sum(-1, keepdim=True), p / p.sum(-1, keepdim=True)  # on a simplex
    accuracy, _ = two_sample(sides(q, p), torch.full((5,), 400.0))  # type: ignore[arg-type]
    assert bool(((accuracy - 0.5).abs() < 0.1).all())
