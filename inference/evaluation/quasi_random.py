"""Quasi-random normals for each datum: common to all families, so that they are compared on the same draws."""

from functools import lru_cache

import torch
from torch import Tensor

from elbowroom.inference.evaluation.random_numbers import RandomNumbers

_BITS = 30


def quasi_normals(
    numbers: RandomNumbers, name: str, num_points: int, dim: int, num_shifts: int, first: int = 0
) -> Tensor:
    """Standard normals `[R · n, B, D]`: a Sobol net of n points under R independent random digital shifts.

    Under one shift the points of a datum are uniform each by itself and evenly spread together: their mean is
    unbiased, and the spread of means over shifts is its error (L'Ecuyer & Lemieux 2002).

    Args:
        numbers: the random numbers of the data.
        name: what they are for; another name has other shifts.
        num_points: n, a power of two.
        dim: D.
        num_shifts: R.
        first: index of the first shift.
    """
    shift = (numbers.uniforms(f"shift of {name}", num_shifts, dim, first) * 2**_BITS).long()  # [R, B, D]
    bits = _net(num_points, dim).to(shift.device)[:, None] ^ shift.unsqueeze(1)  # [R, n, B, D]
    uniform = (bits.flatten(0, 1).double() + 0.5) / 2**_BITS
    return torch.special.ndtri(uniform)


@lru_cache(maxsize=8)
def _net(num_points: int, dim: int) -> Tensor:
    """The first points of a scrambled Sobol sequence as integers, `[n, D]`: the same in every process."""
    engine = torch.quasirandom.SobolEngine(dim, scramble=True, seed=1)
    return (engine.draw(num_points, dtype=torch.float64) * 2**_BITS).long()
