"""The latent sites behind the names of their scalar coordinates, and what their variables are called in a file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TAKEN = ("chain", "draw", "datum", "latent")
"""Names of dimensions that every group of draws may have: no variable can be called so."""


@dataclass(frozen=True)
class Site:
    """A latent site.

    Attributes:
        name: the site's name.
        shape: the shape of its value for one datum.
        dims: names of those dimensions in an archive.
        variable: its name in an archive: the site's own, unless a dimension is called so or it has a slash.
    """

    name: str
    shape: tuple[int, ...]
    dims: tuple[str, ...]
    variable: str

    @property
    def size(self) -> int:
        """Number of scalar latents."""
        return math.prod(self.shape)


def sites_of(latents: Sequence[str]) -> list[Site]:
    """Sites in order, from the names of their coordinates in C order: `z[0]`, `z[1]`, `w`, `v[0,0]`, …"""
    shapes: dict[str, tuple[int, ...]] = {}
    for latent in latents:
        name, _, index = latent.removesuffix("]").rpartition("[") if latent.endswith("]") else (latent, "", "")
        shapes[name] = tuple(int(i) + 1 for i in index.split(",")) if index else ()  # the last index is the largest
    return sites(shapes)


def sites(shapes: Mapping[str, tuple[int, ...]]) -> list[Site]:
    """Sites from the shapes of their values for one datum.

    The dimension of a single vector site is `latent`; others are `<site>_dim_0`, …, as ArviZ names them.
    """
    single = len(shapes) == 1 and len(next(iter(shapes.values()))) == 1
    taken, result = set(TAKEN), []
    for name, shape in shapes.items():
        variable = name.replace("/", "_")  # netCDF keeps slashes for groups
        while variable in taken:
            variable += "_"
        taken.add(variable)
        dims = ("latent",) if single else tuple(f"{variable}_dim_{i}" for i in range(len(shape)))
        result.append(Site(name, shape, dims, variable))
    return result


def by_site(flat: Tensor, sites: Sequence[Site]) -> dict[str, Tensor]:
    """Site -> its values `[..., *shape]`, from all latents side by side, `[..., N]`."""
    parts = torch.split(flat, [site.size for site in sites], -1)
    return {site.name: part.reshape(*flat.shape[:-1], *site.shape) for site, part in zip(sites, parts, strict=True)}


def latent_labels(latents: Sequence[str], sites: Sequence[Site]) -> Sequence[int] | Sequence[str]:
    """The coordinate `latent` of all scalar latents: numbers for a single vector site, else their names."""
    return range(len(latents)) if len(sites) == 1 and sites[0].dims == ("latent",) else list(latents)
