"""Random numbers of a datum's own, so that what it is told does not depend on which others share the call."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from elbowroom.inference.programs.datum_keys import datum_keys
from elbowroom.inference.programs.noise import Noise


@dataclass(frozen=True)
class DatumNoise:
    """Normals and uniforms that are a function of (seed, datum, name, sample) alone.

    A datum is known by its values: it has the same numbers alone, in company and in any order; a second one like it has
    others.

    Attributes:
        x: data, `[B, P]`.
        keys: of the data.
        seed: the user's seed.
    """

    x: Tensor
    keys: np.ndarray
    seed: int

    @classmethod
    def of(cls, x: Tensor, seed: int) -> Self:
        """Of data `[B, P]`."""
        return cls(x, datum_keys([x], len(x)), seed)

    def pieces(self, most: int) -> Iterator[Self]:
        """The data in pieces of at most so many, in order, each with its own numbers."""
        for begin in range(0, len(self.x), max(most, 1)):
            rows = slice(begin, begin + max(most, 1))
            yield type(self)(self.x[rows], self.keys[rows], self.seed)

    def normal(self, name: str, num_samples: int, width: int) -> Tensor:
        """Standard normals, `[S, B, width]`, in the data's dtype."""
        return self._draw("normal", name, num_samples, width)

    def uniform(self, name: str, num_samples: int, width: int) -> Tensor:
        """Uniforms on [0, 1), `[S, B, width]`, in the data's dtype."""
        return self._draw("uniform", name, num_samples, width)

    def _draw(self, kind: str, name: str, num_samples: int, width: int) -> Tensor:
        drawn = Noise(self.seed, self.keys, num_samples).draw(kind, f"densities: {name}", 0, width, self.x.dtype)
        return drawn.to(self.x)
