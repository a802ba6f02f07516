"""The random numbers of chains, lattices and ties: a function of (seed, datum, name, index) alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.target import Target


@dataclass(frozen=True)
class RandomNumbers:
    """Counter-based normals and uniforms for each datum of a target.

    A datum's numbers do not depend on the other data, nor on how many are asked for at once; another name has others.

    Attributes:
        target: whose data they are for.
        seed: the user's seed.
    """

    target: Target
    seed: int

    def normal(self, name: str, count: int, width: int, start: int = 0) -> Tensor:
        """Standard normals for samples `start … start + count − 1`, `[count, B, width]`."""
        return self._draw("normal", name, count, width, start)

    def uniform(self, name: str, count: int, start: int = 0) -> Tensor:
        """Uniforms on [0, 1) for samples `start … start + count − 1`, `[count, B]`."""
        return self.uniforms(name, count, 1, start).squeeze(-1)

    def uniforms(self, name: str, count: int, width: int, start: int = 0) -> Tensor:
        """Uniforms on [0, 1) for samples `start … start + count − 1`, `[count, B, width]`."""
        return self._draw("uniform", name, count, width, start)

    def _draw(self, kind: str, name: str, count: int, width: int, start: int) -> Tensor:
        # A domain of its own: no chain reads the numbers that `propose` draws with the same seed.
        noise = Noise(self.seed, self.target.keys, count, start)
        drawn = noise.draw(kind, f"chains: {name}", 0, width, self.target.dtype, self.target.device)
        return drawn.to(self.target.device, self.target.dtype if kind == "normal" else torch.float64)
