"""Perceptrons: the layers that were asked for, two heads, and one default activation for all that is built here."""

import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional

from elbowroom.guides import AmortizedNormal
from elbowroom.models import VAE
from elbowroom.networks import ACTIVATIONS, DEFAULT_ACTIVATION, MeanStd, mlp


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_has_the_layers_asked_for(activation: str) -> None:
    layers = mlp(3, (5, 4), 2, activation=activation)
    linear = [(m.in_features, m.out_features) for m in layers if isinstance(m, nn.Linear)]
    assert linear == [(3, 5), (5, 4), (4, 2)]
    assert type(layers[1]) is type(layers[3]) is type(ACTIVATIONS[activation]()) and len(layers) == 5
    assert layers(torch.randn(7, 8, 3)).shape == (7, 8, 2)


def test_mlp_without_hidden_layers_is_linear() -> None:
    layers, x, y = mlp(3, (), 2), torch.randn(3), torch.randn(3)
    torch.testing.assert_close(layers(x + y) + layers(torch.zeros(3)), layers(x) + layers(y))


def test_two_heads_are_halves_of_one_network() -> None:
    network, x = MeanStd(3, (5,), 2), torch.randn(7, 3)
    mean, std = network(x)
    raw = network.layers(x)
    assert raw.shape == (7, 4)
    assert torch.equal(mean, raw[:, :2]) and torch.equal(std, functional.softplus(raw[:, 2:]))


@pytest.mark.parametrize("built", [mlp, MeanStd, VAE, AmortizedNormal])
def test_all_that_is_built_here_agrees_on_the_default_activation(built) -> None:
    assert inspect.signature(built).parameters["activation"].default == DEFAULT_ACTIVATION
    assert DEFAULT_ACTIVATION in ACTIVATIONS
