"""The amortized categorical: its gap in closed form, training that sums over k, and a guide that is sure of itself."""

import pytest
import torch
from pyro.infer import TraceEnum_ELBO
from torch import Tensor
from torch.distributions import kl_divergence

from elbowroom.guides import AmortizedCategorical
from elbowroom.inference import Target, bracket, fit, importance, quadrature
from elbowroom.inference.training import OBJECTIVES
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.models import Mixture
from toys.failure_budget import sigmas

B, P, K = 6, 5, 4


def pair(num_data: int = B) -> tuple[Mixture, AmortizedCategorical, Tensor]:
    model, guide = Mixture(P, K), AmortizedCategorical(P, K, (4,))
    with torch.no_grad():
        model.table.mul_(6)
        guide.encoder[-1].weight.mul_(5)
    return model, guide, (torch.randn(num_data, P) > 0).double()


def by_hand(model: Mixture, guide: AmortizedCategorical, x: Tensor) -> Tensor:
    """Σ_k q(k|x) (log p(x, k) − log q(k|x)), `[B]`."""
    q = guide.encode(x)
    k = torch.arange(K)
    joint = model.weights.log() + model.decode(k).log_prob(x.unsqueeze(1))
    return (q.probs * (joint - q.logits)).sum(-1)


def test_the_gap_of_each_datum_is_the_divergence_in_closed_form() -> None:
    model, guide, x = pair()
    gap = kl_divergence(guide.encode(x), model.posterior(x))
    elbo = by_hand(model, guide, x)
    torch.testing.assert_close(model.log_prob(x) - gap, elbo, rtol=1e-12, atol=1e-12)
    loss = OBJECTIVES["Trace_ELBO"].make(Setting(Target(model, guide, x).structure, "data"))
    assert isinstance(loss, TraceEnum_ELBO)
    for b in range(B):
        assert -loss.loss(model, guide, x[b : b + 1]) == pytest.approx(elbo[b].item(), abs=1e-12)
    sampled = importance(Target(model, guide, x), num_samples=4000)
    error = (sampled.info["elbo"] - elbo).abs() / sampled.info["elbo_stderr"]
    assert gap.min() > 0.02 and (error < sigmas(B)).all()


def test_fit_sums_over_k_where_it_would_draw() -> None:
    """One step of fit has the gradient of the exact ELBO: with Adam, its parameters after the step."""
    model, guide, x = pair()
    (other_model, other_guide, _), both = pair(), (model, guide)
    other_model.load_state_dict(model.state_dict())
    other_guide.load_state_dict(guide.state_dict())
    result = fit(*both, x, num_epochs=3, batch_size=B, learning_rate=0.05, validation=x, progress=False)
    parameters = [*other_model.parameters(), *other_guide.parameters()]
    adam = torch.optim.Adam(parameters, lr=0.05)
    for epoch in range(3):
        loss = -by_hand(other_model, other_guide, x).mean()
        assert result.history[epoch]["train_loss"] == pytest.approx(loss.item(), rel=1e-10)
        adam.zero_grad()
        loss.backward()
        adam.step()
    for ours, theirs in zip([*model.parameters(), *guide.parameters()], parameters, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-9)


def test_warm_up_weighs_the_divergence_of_what_is_summed_over() -> None:
    model, guide, x = pair()
    q = guide.encode(x)
    prior = torch.distributions.Categorical(logits=model.weight_logits)
    reconstruction = by_hand(model, guide, x) + kl_divergence(q, prior)
    first = fit(model, guide, x, num_epochs=2, batch_size=B, warmup_epochs=2, progress=False).history[0]
    assert first["beta"] == 0 and first["train_loss"] == pytest.approx(-reconstruction.mean().item(), rel=1e-10)


def test_a_guide_that_is_sure_of_the_wrong_component_misses_nothing_silently() -> None:
    """Every draw of k is the same, so all weights are equal and log p(x) by them is too low: it is summed out."""
    model, guide, x = pair()
    with torch.no_grad():
        guide.encoder[-1].weight.zero_()
        guide.encoder[-1].bias.copy_(torch.tensor([60.0, 0.0, 0.0, 0.0]))
    target = Target(model, guide, x)
    by_draws = target.log_weights(1000).logsumexp(0) - torch.tensor(1000.0).log()
    assert (model.log_prob(x) - by_draws > 0.1).any()
    sampled = importance(target, num_samples=100)
    sides = bracket(target, budget=5)
    assert sampled.info["summed_out"] == ("k",) == target.collapsed().structure.collapsed
    for found in (sampled, quadrature(target), sides.lower, sides.upper):
        torch.testing.assert_close(found.value, model.log_prob(x), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(sampled.info["elbo"], by_hand(model, guide, x), rtol=1e-6, atol=1e-6)
    assert "summed out" in target.collapsed().notes[0] and not any("summed out" in note for note in target.notes)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_components": 0}, ValueError, "num_components.* got 0"),
        ({"hidden": (0,)}, ValueError, r"hidden.* got 0"),
        ({"activation": "sin"}, ValueError, "activation.* got 'sin', expected one of 'silu'"),
    ],
)
def test_constructor_errors(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        AmortizedCategorical(**{"data_dim": P, "num_components": K, **arguments})
