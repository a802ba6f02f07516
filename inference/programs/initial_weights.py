"""Whether layers have the weights that PyTorch drew when it made them: no step of training has moved them.

`nn.Linear` and `nn.Conv*d` draw weights and biases from U(−b, b), b = 1/√fan-in, as u·2b − b with u = k/2^24 in
float32, k/2^53 in float64. A weight near zero is stored far more finely than that grid of values, so one that was
moved, by however little, lies on it by chance only: one in ten. All weights that are tried must lie on it, a dozen at
least, and all must be within the bounds. Weights drawn in another way (another initialisation, another device) are
never accused.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from elbowroom.inference.programs.private_torch import fan_in_of

_F = nn.functional
_LAYERS = {_F.linear, _F.conv1d, _F.conv2d, _F.conv3d}
_TRANSPOSED = {_F.conv_transpose1d, _F.conv_transpose2d, _F.conv_transpose3d}
_EACH = 16  # weights of a layer that are tried: the smallest
_ENOUGH = 12  # weights of all layers together, below which nothing is said
_GAIN = nn.init.calculate_gain("leaky_relu", math.sqrt(5))
_BITS = {torch.float32: 24, torch.float64: 53}


class Layers(TorchFunctionMode):
    """Inside, the weights and biases of linear and convolution layers that run are noted."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: dict[int, tuple[Tensor, Tensor | None]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _LAYERS or func in _TRANSPOSED:
            weight, bias = (
                kwargs.get(name, args[i] if len(args) > i else None) for i, name in ((1, "weight"), (2, "bias"))
            )
            if isinstance(weight, nn.Parameter):
                self.weights[id(weight)] = (weight, bias)
        return func(*args, **kwargs)


def as_made(layers: Iterable[tuple[Tensor, Tensor | None]]) -> bool:
    """Whether every layer's weights and biases are draws of its initialisation, untouched."""
    tried = 0
    for weight, bias in layers:
        fan_in = fan_in_of(weight)
        # Weights and biases have one bound, and PyTorch computes it in two ways that differ in the last digit.
        of_weights = math.sqrt(3.0) * (_GAIN / math.sqrt(fan_in))
        for value, bound in ((weight, of_weights), (bias, 1 / math.sqrt(fan_in))):
            if value is None:
                continue
            small = _smallest(value, bound)
            if small is None or not all(_drawn(v, bound, _BITS[small.dtype]) for v in small):
                return False
            tried += len(small)
    return tried >= _ENOUGH


def _smallest(value: Tensor, bound: float) -> Tensor | None:
    """The values nearest to zero, in the dtype that they were drawn in; None if they are not draws of U(−b, b)."""
    flat = value.detach().flatten().cpu()
    if flat.dtype == torch.float64 and torch.equal(flat, flat.float().double()):
        flat = flat.float()  # made in float32, and converted
    if flat.dtype not in _BITS or not bool((flat.abs() <= bound * (1 + 1e-6)).all()):
        return None
    small = flat[flat.abs() < bound / 8]
    return small[small.abs().argsort()[:_EACH]]


def _drawn(value: Tensor, bound: float, bits: int) -> bool:
    """Whether a value is u·2b − b for some u on the grid, with one rounding at the end or with one after each step."""
    dtype = value.dtype
    low = Fraction(torch.tensor(-bound, dtype=dtype).item())
    nearest = round((Fraction(value.item()) - low) / (-2 * low) * 2**bits)
    for k in range(nearest - 2, nearest + 3):
        step = Fraction(k, 2**bits) * (-2 * low)
        rounded = torch.tensor(float(step), dtype=dtype) + torch.tensor(float(low), dtype=dtype)
        if value.item() in (torch.tensor(float(step + low), dtype=dtype).item(), rounded.item()):
            return True
    return False
