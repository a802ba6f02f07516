"""The best members of a guide's own family as a Pyro guide program: for `Trace_ELBO`, or training on from there."""

from typing import Any

from pyro.nn import PyroModule
from torch import nn

from elbowroom.inference.families.family import Family
from elbowroom.inference.gap.offset_target import offsets_of
from elbowroom.inference.gap.refined_program import check_count, check_same, member
from elbowroom.inference.programs.guide_noise import offset_run, offsets_by_site
from elbowroom.inference.target import Target


class OffsetProgram(PyroModule):
    """The guide with m + s δ and s e^γ in place of each Normal's m and s; made by `RefinedGuide.program`.

    δ and γ are parameters of this module, so that `SVI` can refine them further; those of the guide are not, and none
    of them is seen from outside.

    Attributes:
        shift: δ, `[B, D]`, in units of the guide's own standard deviations.
        widening: γ, `[B, D]`.
    """

    def __init__(self, target: Target, family: Family) -> None:
        super().__init__()
        values = (value.to(target.device, target.dtype) for value in offsets_of(family))
        self.shift, self.widening = (nn.Parameter(value.detach().clone()) for value in values)
        self.__dict__["_target"] = target  # not a child: the guide's parameters are not this module's

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the guide for all the data that were refined, in their order."""
        target: Target = self.__dict__["_target"]
        check_count(target, args, kwargs)
        check_same(target, args, kwargs)
        offsets = offsets_by_site(target.structure, member(self, "shift"), member(self, "widening"))
        return offset_run(target.guide, offsets, *args, **kwargs)
