"""A target whose guide has its Normals moved and widened, for each datum by amounts of its own."""

from collections.abc import Callable
from typing import Any, Self

from torch import Tensor

from elbowroom.inference.families.family import Family
from elbowroom.inference.gap.refined_target import MemberTarget
from elbowroom.inference.programs.guide_noise import offset_run, offsets_by_site
from elbowroom.inference.programs.structure import Structure
from elbowroom.inference.target import Target


class OffsetTarget(MemberTarget):
    """The guide with m + s δ and s e^γ in place of each Normal's m and s; it is a program, and is run as any other is.

    Everything that takes a target takes it. Made by `RefinedGuide.target("own-family")`.
    """

    KEYS = ("own_shift", "own_widening")

    @classmethod
    def of(cls, target: Target, family: Family, doubts: tuple[str, ...] = ()) -> Self:
        """The same model and data, each datum with its own η ~ N(δ, diag e^2γ), and what is to be doubted."""
        guide = _Offset(target.guide, target.structure, cls.KEYS)
        return cls.with_members(target, guide, offsets_of(family)).doubted(doubts)


def offsets_of(family: Family) -> tuple[Tensor, Tensor]:
    """δ and γ, `[B, D]` each, of Gaussians of the guide's noise."""
    return family.loc.squeeze(1), family.scale.squeeze(1).log()


class _Offset:
    """A guide that is given δ and γ `[B, D]` beside its arguments."""

    def __init__(self, guide: Callable[..., Any], structure: Structure, names: tuple[str, ...]) -> None:
        self.guide, self.structure, self.names = guide, structure, names

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        shift, widening = (kwargs.pop(name) for name in self.names)
        return offset_run(self.guide, offsets_by_site(self.structure, shift, widening), *args, **kwargs)
