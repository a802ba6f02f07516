"""Simulated sequences of different lengths, from a linear dynamical system whose parameters are known.

    z_1 ~ N(0, I_2),  z_t = A z_(t−1) + N(0, diag q²),  x_t = W z_t + N(0, σ² I_4),  t = 1 … T_n,  T_n uniform on 4 … 12

A turns the state by an eighth of a circle and shrinks it to nine tenths. What a model of these data can reach is known:
log p(x) of the system itself (`elbowroom.models.LinearDynamicalSystem.of_parameters`).
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from elbowroom.datasets import philox
from elbowroom.datasets.arrays import Arrays

Matrix = NDArray[np.float64]

_ROOT_HALF = math.sqrt(0.5)
_SHORTEST, _LONGEST = 4, 12


class LinearSystem(NamedTuple):
    """The parameters.

    Attributes:
        transition: A, `[D, D]`.
        transition_std: q, `[D]`.
        loadings: W, `[P, D]`.
        sigma: σ.
    """

    transition: Matrix
    transition_std: Matrix
    loadings: Matrix
    sigma: float


SYSTEM = LinearSystem(
    transition=0.9 * _ROOT_HALF * np.array([[1.0, -1.0], [1.0, 1.0]]),
    transition_std=np.array([0.3, 0.3]),
    loadings=np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, -0.5]]),
    sigma=0.3,
)
"""What the data set `linear-system` is drawn from."""


def linear_system(num_sequences: int = 600, seed: int = 0) -> Arrays:
    """Sequences `[N, 12, 4]` of `SYSTEM` with their masks; what lies behind a sequence's end is zero.

    A function of the seed, the same on every machine: values are rounded to 1e-4, which is beyond what functions of
    different libraries differ by.

    Args:
        num_sequences: N.
        seed: the data set `linear-system` has 0.
    """
    system, num_steps = SYSTEM, _LONGEST
    data_dim, latent_dim = system.loadings.shape
    noise_z = philox.normal((num_sequences, num_steps, latent_dim), "linear-system/z", seed)
    noise_x = philox.normal((num_sequences, num_steps, data_dim), "linear-system/x", seed)
    lengths = _SHORTEST + philox.whole(num_sequences, _LONGEST - _SHORTEST + 1, "linear-system/lengths", seed)
    z = noise_z.copy()
    for t in range(1, num_steps):
        z[:, t] = z[:, t - 1] @ system.transition.T + system.transition_std * noise_z[:, t]
    x = np.round(z @ system.loadings.T + system.sigma * noise_x, 4)
    mask = np.arange(num_steps) < lengths[:, None]
    return Arrays({"train": x * mask[..., None]}, masks={"train": mask})
