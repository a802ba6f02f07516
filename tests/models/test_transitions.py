"""Transitions of Markov models: written out, and a walk at first."""

import pytest
import torch
from torch import nn

from elbowroom.models.transitions import FLOOR, TRANSITIONS, GatedTransition, LinearTransition
from toys.sequences import moved


def test_the_gated_transition_written_out() -> None:
    transition, z = moved(GatedTransition(2, (3,), activation="tanh")), torch.randn(4, 5, 2)

    def network(layers: nn.Sequential) -> torch.Tensor:
        return (z @ layers[0].weight.T + layers[0].bias).tanh() @ layers[2].weight.T + layers[2].bias

    gate, proposal = torch.sigmoid(network(transition.gate)), network(transition.proposal)
    linear = z @ transition.linear.weight.T + transition.linear.bias
    spread = proposal.tanh() @ transition.spread.weight.T + transition.spread.bias
    mean, std = transition(z)
    torch.testing.assert_close(mean, (1 - gate) * linear + gate * proposal)
    torch.testing.assert_close(std, FLOOR + spread.exp().log1p())


def test_a_closed_gate_and_the_linear_transition_are_a_walk_at_first() -> None:
    gated, linear, z = GatedTransition(2), LinearTransition(2), torch.randn(7, 2)
    with torch.no_grad():
        gated.gate[-1].bias.fill_(-50.0)
    torch.testing.assert_close(gated(z)[0], z)
    mean, std = linear(z)
    assert torch.equal(mean, z) and torch.allclose(std, torch.tensor(0.5)) and std.shape == z.shape


@pytest.mark.parametrize("name", TRANSITIONS)
def test_the_spread_has_a_floor(name: str) -> None:
    transition = TRANSITIONS[name](2, (3,), activation="silu")
    with torch.no_grad():
        for parameter in (transition.spread.bias if name == "gated" else transition.log_above_floor,):
            parameter.fill_(-800.0)
    assert (transition(torch.randn(6, 2))[1] >= FLOOR).all()
