"""Targets whose guide is a member of a family of its own for each datum."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.families.bend import Bend
from elbowroom.inference.families.bent import BentFamily
from elbowroom.inference.families.family import Family
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.terms import Values
from elbowroom.inference.target import Target


class MemberTarget(Target):
    """A target whose guide has members, one for each datum; they travel as per-datum arguments, cut with the data.

    Attributes:
        doubts: for each datum what is to be doubted of its member, or an empty string.
    """

    KEYS: ClassVar[tuple[str, ...]]
    doubts: tuple[str, ...]

    @classmethod
    def with_members(cls, target: Target, guide: Callable[..., Any], members: tuple[Tensor, ...]) -> Self:
        """The same model and data with another guide, and its members in the data's dtype."""
        values = (t.to(target.device, target.dtype) for t in members)
        return cls.like(
            target,
            model=Without(target.model, cls.KEYS),
            guide=guide,
            structure=replace(target.structure, cautions=()),  # they are of the guide that is replaced
            kwargs=target.kwargs | dict(zip(cls.KEYS, values, strict=True)),
            per_datum=target.per_datum | dict.fromkeys(cls.KEYS, 0),
        )

    def doubted(self, doubts: tuple[str, ...]) -> Self:
        """The same, with what is to be doubted of each member; nothing if that is empty."""
        new = type(self).like(self)
        new.doubts = doubts or ("",) * len(self)
        return new

    @property
    def contents(self) -> list[Tensor]:
        """The per-datum arguments but for the members: with others, draws of the posterior are of the same data."""
        return self.rows_of(key for key in self.per_datum if key not in self.KEYS)

    @property
    def cautions(self) -> tuple[str, ...]:
        """For each datum why what rests on its member is to be doubted, known from when it was found; or empty."""
        return self.doubts

    def at(self, index: Tensor) -> Self:
        """As `Target.at`; doubts stay with their data."""
        return super().at(index).replaced(doubts=tuple(self.doubts[b] for b in index.tolist()))

    def pinned_to(self, values: Mapping[int | str, Tensor]) -> Self:
        """As `Target.pinned_to`; what is known of some data is not known of others."""
        return super().pinned_to(values).replaced(doubts=("",) * len(self))

    def pick(self, index: Tensor) -> Self:
        """As `Triple.pick`; doubts stay with their data."""
        return super().pick(index).replaced(doubts=tuple(self.doubts[b] for b in index.tolist()))


class RefinedTarget(MemberTarget):
    """A target whose guide is a Gaussian, or a mixture, of its own for each datum, in unconstrained coordinates.

    Everything that takes a target takes it. Made by `RefinedGuide.target`.
    """

    KEYS: ClassVar[tuple[str, ...]] = ("refined_log_share", "refined_loc", "refined_scale")

    @classmethod
    def of(cls, target: Target, family: Family, doubts: tuple[str, ...] = ()) -> Self:
        """The same model and data, each datum with its own member, in the data's dtype, and what is to be doubted."""
        guide, members = Without(target.guide, cls.KEYS), family.tensors
        return cls.with_members(target, guide, members).doubted(doubts)

    def pick(self, index: Tensor) -> Self:
        """As `Triple.pick`, the members cut with the data: the programs do not see them."""
        new = super().pick(index)
        members = {key: new.kwargs[key][index.to(self.device)] for key in self.KEYS}
        return new.replaced(kwargs=new.kwargs | members)

    @property
    def family(self) -> Family:
        """The members."""
        return Family(*(self.kwargs[key] for key in self.KEYS))

    def propose(self, num_samples: int, *, seed: int = 0, start: int = 0) -> tuple[Values, Tensor]:
        """Draw from the members: values and their log density, as `Target.propose`."""
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1, got {num_samples}")
        coordinates, family, numbers = Coordinates.of(self), self.family, RandomNumbers(self, seed)
        noise = numbers.normal("refined: normal", num_samples, coordinates.dim, start)
        every = family.at(noise.unsqueeze(2).expand(-1, -1, family.num_components, -1))  # [S, B, K, D]
        if family.num_components == 1:
            u = every.squeeze(2)
        else:
            uniform = numbers.uniform("refined: component", num_samples, start).to(noise)
            chosen = (uniform.unsqueeze(-1) > family.log_share.exp().cumsum(-1)).sum(-1)
            chosen = chosen.clamp(max=family.num_components - 1)
            u = every.gather(2, chosen[..., None, None].expand(*chosen.shape, 1, coordinates.dim)).squeeze(2)
        log_q = family.log_density(u)
        u, log_det = self.bent(u)
        values, log_q = coordinates.unpack(u), log_q - log_det
        if coordinates.real:
            return values, log_q
        _, log_jacobian, z = self.log_joint_unconstrained(values)
        return z, log_q - log_jacobian

    def log_guide(self, z: Mapping[str, Tensor]) -> Tensor:
        """The members' log density at any point, as `Target.log_guide`."""
        coordinates = Coordinates.of(self)
        if coordinates.real:
            return self.log_member(coordinates.pack(z))
        u = coordinates.unconstrain(z)
        return self.log_member(u) - self.log_joint_unconstrained(coordinates.unpack(u))[1]

    def bent(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Draws of the members as points of the coordinates, `[S, B, D]`, and the log-determinant, `[S, B]`."""
        return u, u.new_zeros(u.shape[:-1])

    def log_member(self, u: Tensor) -> Tensor:
        """The log density at points of the coordinates, `[S, B]`."""
        return self.family.log_density(u)

    def latent_terms(self, z: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Members are densities of all latents together: refused, as by `Target.latent_terms`."""
        raise ProgramError(
            "the members are densities of all latents together; for densities of each site use "
            "Target(model, refined.program(), x)"
        )


class BentTarget(RefinedTarget):
    """A target whose guide is a flow of its own for each datum: a Gaussian, or a mixture, bent."""

    KEYS = (*RefinedTarget.KEYS, "bend_centre", "bend_factor", *(f"bend_{name}" for name in Bend.parameters()))

    @classmethod
    def of(cls, target: Target, family: BentFamily, doubts: tuple[str, ...] = ()) -> Self:  # type: ignore[override]
        """The same model and data, each datum with its own bent member."""
        guide, members = Without(target.guide, cls.KEYS), (*family.base.tensors, *family.bend.tensors)
        return cls.with_members(target, guide, members).doubted(doubts)

    @property
    def family(self) -> Family:
        """The members before they are bent."""
        return Family(*(self.kwargs[key] for key in RefinedTarget.KEYS))

    @property
    def bend(self) -> Bend:
        """What bends them."""
        return Bend(*(self.kwargs[key] for key in self.KEYS[len(RefinedTarget.KEYS) :]))

    def bent(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """g(u) and log |det dg/du|."""
        return self.bend.forward(u)

    def log_member(self, u: Tensor) -> Tensor:
        """log q(g⁻¹(u)) − log |det dg|."""
        return BentFamily(self.family, self.bend).log_density(u)


class Without:
    """A program that is not given some of the arguments."""

    def __init__(self, program: Callable[..., Any], names: tuple[str, ...]) -> None:
        self.program, self.names = program, names

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        return self.program(*args, **{k: v for k, v in kwargs.items() if k not in self.names})
