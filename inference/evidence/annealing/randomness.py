"""Random numbers of the chains of a path: a function of (seed, datum, role, chain, transition) alone."""

import torch
from torch import Tensor

from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.mcmc.path import Path
from elbowroom.inference.programs.noise import BLOCK

_APART = BLOCK << 32  # first chain of a role, a multiple of the noise's block
_STRIDE = 16  # transitions whose random numbers are drawn at once

FORWARD, PILOT, REVERSE, PARTICLES = (role * _APART for role in range(1, 5))
"""Index of the first chain of each role: no chain tunes itself on its own noise, or on importance sampling's."""


class Randomness:
    """Momenta and accept decisions of chains `first … first + num_chains − 1` at any transition."""

    def __init__(self, path: Path, seed: int, num_chains: int, first: int) -> None:
        self.numbers, self.dim = RandomNumbers(path.target, seed), path.coordinates.dim
        self.num_chains, self.first, self._block = num_chains, first, -1
        self._numbers = torch.empty(0)

    def at(self, index: int) -> tuple[Tensor, Tensor]:
        """Standard normals `[C, B, D]` and uniforms `[C, B]` of a transition."""
        block, within = divmod(index, _STRIDE)
        if block != self._block:
            width = self.dim + 1  # one more normal makes the uniform
            drawn = self.numbers.normal(f"path {block}", self.num_chains, _STRIDE * width, self.first)
            self._numbers, self._block = drawn.unflatten(-1, (_STRIDE, width)), block
        numbers = self._numbers[:, :, within]
        return numbers[..., :-1], torch.special.ndtr(numbers[..., -1].double())
