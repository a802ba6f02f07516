"""The latents of each datum as one vector: unconstrained u `[S, B, D]`, or their own values z `[S, B, N]`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.scalars import side_by_side
from elbowroom.inference.programs.collapse import MOST_VALUES
from elbowroom.inference.target import Target


@dataclass(frozen=True)
class Coordinates:
    """Unconstrained coordinates of a target, all latent sites one after the other.

    `log_joint(u) = log p(x, T(u)) + log |det dT/du|` and `log_guide(u) = log q(T(u) | x) + log |det dT/du|` are
    densities in u, whatever the supports are.
    """

    target: Target
    dim: int  # D

    @classmethod
    def of(cls, target: Target, gradients: bool = True) -> "Coordinates":
        """The coordinates of a target.

        Args:
            target: the target.
            gradients: whether log p(x, z) will be differentiated in them.

        Raises:
            ValueError: if a latent has none, or the density no gradient: see `why_no_coordinates`.
        """
        if why := why_no_coordinates(target, gradients):
            raise ValueError(
                f"{why}: there is nothing for chains, lattices and annealing to go by. importance, bounds, calibrate "
                "and latent_use need neither coordinates nor gradients; bracket and audit do what can be done without"
            )
        latents = target.structure.latents.values()
        return cls(target, sum(math.prod((*latent.inner, *(latent.unconstrained or ()))) for latent in latents))

    @property
    def names(self) -> list[str]:
        """A name for each of the D coordinates: the scalar latents' own (`z[0]`, …) if there are as many of them."""
        names = self.target.latent_names
        return names if len(names) == self.dim else [f"unconstrained coordinate {d}" for d in range(self.dim)]

    def pack(self, values: Mapping[str, Tensor]) -> Tensor:
        """Site values `[S, B, ...]` to one vector a datum, `[S, B, D]`."""
        return side_by_side({name: values[name] for name in self.target.structure.latents})

    def unpack(self, u: Tensor) -> dict[str, Tensor]:
        """`[S, B, D]` to unconstrained site values."""
        values, position = {}, 0
        for name, latent in self.target.structure.latents.items():
            shape = latent.plates + (latent.unconstrained or ())
            size = math.prod(shape)
            values[name] = u[..., position : position + size].reshape(*u.shape[:2], *shape)
            position += size
        return values

    @property
    def real(self) -> bool:
        """Whether every support is the whole of R^n, so that z = u."""
        return all(latent.real for latent in self.target.structure.latents.values())

    def log_joint(self, u: Tensor) -> Tensor:
        """log p(x, T(u)) + log |det dT/du|, `[S, B]`, nats."""
        return self.target.log_joint_unconstrained(self.unpack(u))[0]

    def log_guide(self, u: Tensor) -> Tensor:
        """log q(T(u) | x) + log |det dT/du|, `[S, B]`, nats."""
        if self.real:
            return self.target.log_guide(self.unpack(u))
        _, log_jacobian, z = self.target.log_joint_unconstrained(self.unpack(u))
        return self.target.log_guide(z) + log_jacobian

    def constrain(self, u: Tensor) -> Tensor:
        """z = T(u), `[S, B, N]`."""
        return u if self.real else self.pack(self.target.log_joint_unconstrained(self.unpack(u))[2])

    def unconstrain(self, z: Mapping[str, Tensor]) -> Tensor:
        """u = T⁻¹(z), `[S, B, D]`."""
        return self.pack(self.target.unconstrain(z))

    def at(self, rows: Tensor) -> "Coordinates":
        """The coordinates of some of the data."""
        everything = len(rows) == len(self.target) and bool((rows == torch.arange(len(rows))).all())
        return self if everything else Coordinates(self.target.select(rows), self.dim)


def why_no_coordinates(target: Target, gradients: bool = True) -> str:
    """Why a target has no coordinates (to be differentiated in, if that is asked); empty if it has."""
    for latent in target.structure.latents.values():
        if latent.unconstrained is not None:
            continue
        site = f"the guide draws the site '{latent.name}'"
        if latent.num_values is None:
            return (
                f"{site}, whose values have no real coordinates and cannot be listed to be summed out (infinitely "
                "many, or several at once under to_event: a plate in its place lets them be listed)"
            )
        every = math.prod(other.num_values or 1 for other in target.structure.latents.values())
        if every > MOST_VALUES:
            return f"{site}, one of {every:.3g} combinations of discrete values, of which {MOST_VALUES} are summed out"
        if target.structure.auxiliary:
            return f"{site} beside auxiliary sites {list(target.structure.auxiliary)}, so that it is not summed out"
        return f"{site}, which is discrete; target.collapsed() sums it out of both programs"
    return target.no_gradient if gradients else ""


def log_joint(coordinates: Coordinates, u: Tensor) -> Tensor:
    """`Coordinates.log_joint` at u of any dtype, on u's device wherever the programs are."""
    return coordinates.log_joint(u.to(coordinates.target.device, coordinates.target.dtype)).to(u.device)


def log_guide(coordinates: Coordinates, u: Tensor) -> Tensor:
    """`Coordinates.log_guide` at u of any dtype, on u's device wherever the programs are."""
    return coordinates.log_guide(u.to(coordinates.target.device, coordinates.target.dtype)).to(u.device)


def constrained(coordinates: Coordinates, u: Tensor) -> Tensor:
    """`Coordinates.constrain` at u of any dtype."""
    return coordinates.constrain(u.to(coordinates.target.dtype))
