"""Model M2: told labels and others in one program, against sums by hand; draws; refusals."""

from typing import Any

import pytest
import torch
from torch import Tensor

from elbowroom.guides import AmortizedNormal, LabelAndNormal
from elbowroom.inference import Target, importance, quadrature
from elbowroom.models import VAE, SemiSupervisedVAE

P, D, K, B = 5, 1, 3, 6
Y, SEEN = torch.tensor([0, 2, 1, 1, 0, 2]), torch.arange(B) < 3
EXACT: dict[str, Any] = {"rtol": 0.0, "atol": 1e-6}
GUIDES = {"z": lambda: AmortizedNormal(P, D, (4,)), "y and z": lambda: LabelAndNormal(P, D, K, (4,))}


def data() -> Tensor:
    return (torch.randn(B, P) > 0).double()


def made() -> SemiSupervisedVAE:
    model = SemiSupervisedVAE(P, D, K, (4,))
    with torch.no_grad():
        model.label_logits.copy_(torch.tensor([0.5, -0.3, 0.1]))
    return model


def given_label(model: SemiSupervisedVAE, k: int) -> VAE:
    """p(x|y = k): the VAE whose first layer has the label's column in its bias."""
    vae = VAE(P, D, (4,))
    with torch.no_grad():
        weight = model.decoder[0].weight
        vae.decoder[0].weight.copy_(weight[:, :D])
        vae.decoder[0].bias.copy_(model.decoder[0].bias + weight[:, D + k])
        vae.decoder[2].load_state_dict(model.decoder[2].state_dict())
    return vae


def log_joint(model: SemiSupervisedVAE, x: Tensor) -> Tensor:
    """log p(x, y) of every label, `[B, K]`, by the VAE of each."""
    guide = AmortizedNormal(P, D, ())
    each = [quadrature(Target(given_label(model, k), guide, x)).value for k in range(K)]
    return model.label_logits.log_softmax(-1) + torch.stack(each, -1)


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES.values(), ids=list(GUIDES))
def test_told_labels_give_the_joint_and_others_its_sum(guide: Any) -> None:
    model, x = made(), data()
    with torch.no_grad():
        expected = log_joint(model, x)
        target = Target(model, guide(), x, Y, SEEN)
        told, summed = expected.gather(-1, Y.unsqueeze(-1))[:, 0], expected.logsumexp(-1)
        torch.testing.assert_close(quadrature(target).value, torch.where(SEEN, told, summed), **EXACT)
        assert not torch.allclose(told, summed, atol=0.1)
        # p(y|x) by Bayes' rule, as the page says it: one program, the labels as if they were told
        every = torch.ones(B, dtype=torch.bool)
        found = [quadrature(Target(model, guide(), x, torch.full_like(Y, k), every)).value for k in range(K)]
        torch.testing.assert_close(torch.stack(found, -1), expected, **EXACT)


def test_a_label_that_is_not_told_is_not_read() -> None:
    model, guide, x = made(), LabelAndNormal(P, D, K, (4,)), data()
    one, other = (Target(model, guide, x, torch.where(SEEN, Y, k), SEEN) for k in (0, 2))
    z, _ = one.propose(3)
    assert torch.equal(one.log_guide(z), other.log_guide(z))
    for a, b in zip(one.log_joint(z), other.log_joint(z), strict=True):
        assert torch.equal(a, b)


def test_the_guide_is_the_classifier_times_the_normal() -> None:
    guide, x = LabelAndNormal(P, D, K, (4,)), data()
    target = Target(made(), guide, x, Y, SEEN)
    z, log_q = target.propose(4)
    label = torch.where(SEEN, Y, z["y_unobserved"])
    expected = guide.encode(x, label).log_prob(z["z"])
    drawn = torch.where(SEEN, 0.0, guide.classify(x).log_prob(z["y_unobserved"]))
    prior = torch.where(SEEN, made().label_prior().log_prob(z["y_unobserved"]), 0.0)  # what a mask hides is the prior's
    torch.testing.assert_close(log_q, expected + drawn + prior, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(guide.log_label(x, Y), guide.classifier(x).log_softmax(-1).gather(-1, Y[:, None])[:, 0])


def test_summing_the_label_out_of_both_programs_tightens_the_bound() -> None:
    target = Target(made(), LabelAndNormal(P, D, K, (4,)), data(), Y, SEEN)
    exact = quadrature(target).value
    for one in (target, target.collapsed()):
        estimate = importance(one, num_samples=4000, search=False)
        assert ((estimate.value - exact).abs() < 4.5 * estimate.stderr + 1e-6).all()
    drawn, summed = (one.log_weights(4000) for one in (target, target.collapsed()))
    assert summed.std(0)[~SEEN].mean() < drawn.std(0)[~SEEN].mean()
    assert (drawn.mean(0) < exact + 4 * drawn.std(0) / 4000**0.5).all()


def test_draws_are_of_their_label() -> None:
    model = made()
    z, mean = model.generate(Y)
    torch.testing.assert_close(mean, model.decode(z, torch.eye(K)[Y]).mean)
    assert z.shape == (B, D)


@pytest.mark.parametrize(
    ("y", "seen", "told"),
    [
        (torch.where(SEEN, Y, -1), SEEN, r"y: got labels outside 0 … 2, such as -1 \(rows \[3, 4, 5\]\)"),
        (Y, SEEN.double(), r"seen: got shape \(6,\) and torch.float64, .*seen = y >= 0, y.clamp\(min=0\)"),
        (Y, SEEN[:5], r"seen: got shape \(5,\)"),
        (Y.double(), SEEN, r"y: got shape \(6,\) and torch.float64"),
    ],
)
def test_what_says_nothing_of_labels_is_refused(y: Tensor, seen: Tensor, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        made()(data(), y, seen)
