"""What adapts, and the beginning of a move, is rounded: differences of a processor's making end there.

Batches of other sizes, and other processors, add up in another order: results differ in the sixteenth digit. Chains
hand such a difference on from one transition to the next, and it grows: in the hundred of a warm-up on a VAE from 1e-16
to the size of the posterior. On a grid of a millionth of a standard deviation it is gone at every step, but for the few
numbers, one in a billion, that lie so near the middle between two points that they go to either side.
"""

import torch
from torch import Tensor

BITS = 20
"""Points of the grid are 2⁻²⁰ of the unit's power of two apart: nothing beside any statistical error."""


def on_grid(values: Tensor, unit: Tensor | float = 1.0) -> Tensor:
    """The nearest multiples of 2^(⌊log₂ unit⌋ − 20); what is not finite, or too large to have such digits, stays.

    Single precision has 24 bits: little of its rounding ends here, but numbers well above their unit are left alone.

    Args:
        values: what is to be rounded.
        unit: the size that matters, such as a standard deviation; broadcast against `values`.
    """
    unit = torch.as_tensor(unit, dtype=values.dtype, device=values.device)
    mantissa, _ = torch.frexp(unit)  # in [½, 1)
    spacing = unit / mantissa * 2.0 ** -(BITS + 1)  # exactly a power of two; NaN of zero, which leaves values alone
    steps = values / spacing
    return torch.where(steps.abs() < 1 / torch.finfo(values.dtype).eps, steps.round() * spacing, values)
