"""Residual perceptrons: linear at first, deep where training finds use for it."""

from itertools import pairwise

from torch import Tensor, nn

from elbowroom.entrances import checked
from elbowroom.entrances.values import check_choice, check_size, check_sizes
from elbowroom.networks.mlp import ACTIVATIONS, DEFAULT_ACTIVATION


class ResidualBlock(nn.Module):
    """skip(h) + W₂ a(W₁ a(h) + b₁) + b₂, with W₂ = 0 and b₂ = 0 to begin with.

    The activation a comes before each layer (He et al. 2016, "Identity mappings in deep residual networks", fig. 1b);
    skip is the identity, or a linear map where the widths differ.
    """

    def __init__(self, num_inputs: int, num_outputs: int, *, activation: str = DEFAULT_ACTIVATION) -> None:
        super().__init__()
        make_activation = ACTIVATIONS[check_choice("activation", activation, ACTIVATIONS)]
        self.skip = nn.Identity() if num_inputs == num_outputs else nn.Linear(num_inputs, num_outputs, bias=False)
        last = nn.Linear(num_outputs, num_outputs)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.branch = nn.Sequential(make_activation(), nn.Linear(num_inputs, num_outputs), make_activation(), last)

    def forward(self, inputs: Tensor) -> Tensor:
        """The block's outputs, `[*batch, num_outputs]`."""
        return self.skip(inputs) + self.branch(inputs)


@checked
def residual_mlp(
    num_inputs: int, hidden: tuple[int, ...], num_outputs: int, *, activation: str = DEFAULT_ACTIVATION
) -> nn.Sequential:
    """A Linear to `hidden[0]`, a residual block of each width in `hidden`, a Linear to `num_outputs`.

    At first every block is its skip, so the network is linear, and its gradients are those of a linear map however
    many blocks there are; a branch's first layer moves from the second step on. With `hidden=()` it is a single
    linear map. Inputs are `[*batch, num_inputs]`.

    Raises:
        TypeError, ValueError: if a size is out of range or the activation is unknown.
    """
    num_inputs, num_outputs = check_size("num_inputs", num_inputs), check_size("num_outputs", num_outputs)
    widths = check_sizes("hidden", hidden)
    check_choice("activation", activation, ACTIVATIONS)
    if not widths:
        return nn.Sequential(nn.Linear(num_inputs, num_outputs))
    blocks = [ResidualBlock(*pair, activation=activation) for pair in pairwise((widths[0], *widths))]
    return nn.Sequential(nn.Linear(num_inputs, widths[0]), *blocks, nn.Linear(widths[-1], num_outputs))
