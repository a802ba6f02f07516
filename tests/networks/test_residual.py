"""Residual perceptrons: linear at first, then not; every parameter moves; written out."""

import pytest
import torch
from torch import nn

from elbowroom.networks import residual_mlp
from elbowroom.networks.residual import ResidualBlock


def test_at_first_it_is_its_linear_skip() -> None:
    network = residual_mlp(3, (5, 5, 4), 2)
    first, *blocks, last = network
    assert [type(block.skip) for block in blocks] == [nn.Identity, nn.Identity, nn.Linear]
    inputs = torch.randn(7, 8, 3)
    hidden = first(inputs)
    for block in blocks:
        hidden = block.skip(hidden)
    assert torch.equal(network(inputs), last(hidden))


def test_a_block_written_out() -> None:
    block, h = ResidualBlock(4, 3, activation="tanh"), torch.randn(6, 4)
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    _, one, _, two = block.branch
    expected = h @ block.skip.weight.T + (h.tanh() @ one.weight.T + one.bias).tanh() @ two.weight.T + two.bias
    torch.testing.assert_close(block(h), expected)


def test_every_parameter_moves_from_the_second_step_on() -> None:
    network, inputs, y = residual_mlp(3, (5, 5), 2), torch.randn(20, 3), torch.randn(20, 2)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        (network(inputs) - y).square().mean().backward()
        optimiser.step()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())
    bent = network(inputs) + network(-inputs) - 2 * network(torch.zeros(3))
    assert bent.abs().max() > 1e-6  # of a linear map it is 0


def test_sizes_and_errors() -> None:
    assert [type(layer) for layer in residual_mlp(3, (), 2)] == [nn.Linear]
    for arguments, name in (
        ((0, (4,), 2), "num_inputs"),
        ((3, (0,), 2), r"hidden\[0\]"),
        ((3, (4,), 0), "num_outputs"),
    ):
        with pytest.raises(ValueError, match=f"^{name}.* got 0"):
            residual_mlp(*arguments)
    with pytest.raises(ValueError, match=r"activation.* got 'sin'"):
        residual_mlp(3, (), 2, activation="sin")
