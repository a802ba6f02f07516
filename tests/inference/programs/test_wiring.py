"""Outputs that were read as something else: logits that are probabilities, sds of q above the prior's."""

import pytest
import torch
from torch import Tensor, nn

from elbowroom.guides import from_encoder
from elbowroom.inference import Target
from elbowroom.models import from_decoder

B, P, D = 8, 12, 3


def suspicions(decode: nn.Module, scale: float, output: str = "logits") -> tuple[str, ...]:
    x = torch.bernoulli(torch.full((B, P), 0.4))
    torch.manual_seed(1)
    weight = torch.randn(P, D)

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        return x @ weight / 3, scale * (1 + 0.1 * torch.tanh(x @ weight))

    model = from_decoder(decode, latent_dim=D, likelihood="bernoulli", output=output)
    return Target(model, from_encoder(encode, output="mean_std"), x).suspicions


@pytest.fixture
def trained() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(D, P).requires_grad_(False).apply(lambda layer: layer.weight.mul_(5)))


def test_right_readings_are_not_doubted(trained: nn.Module) -> None:
    assert suspicions(trained, 0.4) == ()
    assert suspicions(nn.Sequential(trained, nn.Sigmoid()), 0.4, "probs") == ()
    assert suspicions(trained, 1.0) == ()  # some above the prior's, some below


def test_a_sigmoid_beneath_logits(trained: nn.Module) -> None:
    (doubt,) = suspicions(nn.Sequential(trained, nn.Sigmoid()), 0.4)
    assert "every logit that the model gives 'x' lies between 0 and 1" in doubt and "output='probs'" in doubt


def test_standard_deviations_above_the_priors(trained: nn.Module) -> None:
    (doubt,) = suspicions(trained, 1.3)
    assert "above the prior's for every datum and every entry of 'z'" in doubt and "output='mean_std'" in doubt


def test_probabilities_that_are_all_alike_are_a_constant(trained: nn.Module) -> None:
    assert suspicions(nn.Sequential(trained, nn.Threshold(1e9, 0.5)), 0.4) == ()


@pytest.mark.parametrize(
    ("likelihood", "options", "last", "told"),
    [
        ("categorical", {"levels": 4}, nn.Sequential(nn.Unflatten(-1, (-1, 4)), nn.Softmax(-1)), "sum to one"),
        ("multinomial", {}, nn.Softmax(-1), "sum to one"),
        ("continuous-bernoulli", {}, nn.Sigmoid(), "lies between 0 and 1"),
        ("binomial", {"trials": 3}, nn.Sigmoid(), "lies between 0 and 1"),
    ],
)
def test_probabilities_read_as_logits(likelihood: str, options: dict[str, int], last: nn.Module, told: str) -> None:
    """Of levels, words, grey values and counts of few; read as what they are, and logits, are not doubted."""
    torch.manual_seed(0)
    network = nn.Linear(D, 12).requires_grad_(False).apply(lambda layer: layer.weight.mul_(5))
    x = torch.randint(0, 2, (B, 3 if likelihood == "categorical" else 12)).to(torch.get_default_dtype())

    def doubts(decoder: nn.Module, output: str) -> tuple[str, ...]:
        model = from_decoder(decoder, latent_dim=D, likelihood=likelihood, output=output, likelihood_options=options)
        weight = torch.randn(x.shape[1], D)
        guide = from_encoder(lambda x: (x @ weight, 0.3 + 0 * (x @ weight)), output="mean_std")
        return Target(model, guide, x).suspicions

    assert doubts(nn.Sequential(network), "logits") == doubts(nn.Sequential(network, last), "probs") == ()
    (doubt,) = doubts(nn.Sequential(network, last), "logits")
    assert told in doubt and "output='probs'" in doubt
