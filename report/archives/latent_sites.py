"""The latent sites behind the names of their scalar coordinates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Site:
    """A latent site.

    Attributes:
        name: the site's name.
        shape: the shape of its value for one datum.
        dims: names of those dimensions in an archive.
    """

    name: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number of scalar latents."""
        return math.prod(self.shape)


def sites_of(latents: Sequence[str]) -> list[Site]:
    """Sites in order, from the names of their coordinates in C order: `z[0]`, `z[1]`, `w`, `v[0,0]`, …

    The dimension of a single vector site is `latent`; others are `<site>_dim_0`, …, as ArviZ names them.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for latent in latents:
        name, _, index = latent.removesuffix("]").rpartition("[") if latent.endswith("]") else (latent, "", "")
        shapes[name] = tuple(int(i) + 1 for i in index.split(",")) if index else ()  # the last index is the largest
    single = len(shapes) == 1 and len(next(iter(shapes.values()))) == 1
    return [
        Site(name, shape, ("latent",) if single else tuple(f"{name}_dim_{i}" for i in range(len(shape))))
        for name, shape in shapes.items()
    ]
