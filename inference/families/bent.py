"""Members of a family bent by an invertible map of their own: flows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from elbowroom.inference.families.bend import Bend
from elbowroom.inference.families.expectation import Density
from elbowroom.inference.families.family import Family
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table


@dataclass(frozen=True, repr=False)
class BentFamily(Shown):
    """q of v = g(u), u of a member of a family, g an invertible bend: log q(v) = log q(u) − log |det dg/du|.

    Attributes:
        base: the members.
        bend: g of each datum.
    """

    base: Family
    bend: Bend

    def __len__(self) -> int:
        return len(self.base)

    def as_table(self) -> Table:
        """How many distributions of which form."""
        form = "diagonal" if self.is_diagonal else "full"
        title = f"{len(self)} distributions of {self.num_components} Gaussians, {form}, bent, in {self.dim} coordinates"
        return Table((title,))

    @property
    def num_components(self) -> int:
        """K of the members."""
        return self.base.num_components

    @property
    def dim(self) -> int:
        """D."""
        return self.base.dim

    @property
    def is_diagonal(self) -> bool:
        """Whether the members' coordinates are independent in each component."""
        return self.base.is_diagonal

    def log_density(self, v: Tensor) -> Tensor:
        """log q(v), `[S, B]`, nats, at v `[S, B, D]`."""
        u, log_det = self.bend.inverse(v)
        return self.base.log_density(u) - log_det

    @classmethod
    def straight(cls, base: Family) -> "BentFamily":
        """Members that are not bent, in coordinates where their mean is zero and their covariance the unit matrix."""
        full = base.full()
        apart = (full.loc - full.mean.unsqueeze(1)).unsqueeze(-1)
        within = full.scale @ full.scale.mT + apart @ apart.mT
        covariance = (full.log_share.exp()[..., None, None] * within).sum(1)
        return cls(base, Bend.identity(base.mean, torch.linalg.cholesky(covariance)))

    def select(self, data: Tensor) -> "BentFamily":
        """The members of some of the data."""
        return BentFamily(self.base.select(data), self.bend.select(data))

    def where(self, chosen: Tensor, other: "BentFamily") -> "BentFamily":
        """These members where `chosen` `[B]` says so, the other ones elsewhere; both of the same form."""
        return BentFamily(self.base.where(chosen, other.base), self.bend.where(chosen, other.bend))

    def formed_as(self, other: Family) -> "BentFamily":
        """The same distributions, the members in the form of another family."""
        return BentFamily(self.base.formed_as(other), self.bend)


Member = Family | BentFamily
"""What may stand for a rung."""


def joined(parts: Sequence[Member]) -> Member:
    """Members of different data, one after the other."""
    bent = [part for part in parts if isinstance(part, BentFamily)]
    straight = [part.base if isinstance(part, BentFamily) else part for part in parts]
    base = Family(*(torch.cat(values) for values in zip(*(f.tensors for f in straight), strict=True)))
    if not bent:
        return base
    return BentFamily(base, Bend(*(torch.cat(values) for values in zip(*(f.bend.tensors for f in bent), strict=True))))


def straightened(density: Density, bend: Bend) -> Density:
    """The density of u where that of v = g(u) is given: log p(g(u)) + log |det dg/du|, and its gradient."""

    def of_base(u: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            u = u.detach().requires_grad_(True)
            v, log_det = bend.forward(u)
            value, slope = density(v.detach())
            (gradient,) = torch.autograd.grad((slope * v).sum() + log_det.sum(), u)
        return value + log_det.detach(), gradient

    return of_base


def bent_distribution(base: Any, bend: Bend) -> Any:
    """A `torch.distributions` object of the members, bent."""
    from pyro import distributions as dist
    from torch.distributions import constraints
    from torch.distributions.transforms import Transform

    class Bent(Transform):
        domain = codomain = constraints.real_vector
        bijective = True

        def _call(self, u: Tensor) -> Tensor:
            return self._at(bend.forward, u)[0]

        def _inverse(self, v: Tensor) -> Tensor:
            return self._at(bend.inverse, v)[0]

        def log_abs_det_jacobian(self, u: Tensor, v: Tensor) -> Tensor:
            return self._at(bend.forward, u)[1]

        def _at(self, map_: Any, values: Tensor) -> tuple[Tensor, Tensor]:
            batch = torch.broadcast_shapes(values.shape[:-1], bend.centre.shape[:1])
            flat = values.expand(*batch, -1).reshape(-1, *bend.centre.shape)
            found, log_det = map_(flat)
            return found.reshape(*batch, -1), log_det.reshape(batch)

    return dist.TransformedDistribution(base, [Bent()])
