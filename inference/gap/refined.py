"""The best members of each family, one distribution a datum, as a guide: semi-amortized inference."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from elbowroom.inference.families.bent import BentFamily, Member, bent_distribution
from elbowroom.inference.families.family import Family
from elbowroom.inference.gap.offset_target import OffsetTarget
from elbowroom.inference.gap.own_family import OWN_FAMILY
from elbowroom.inference.gap.refined_target import BentTarget, RefinedTarget
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target

if TYPE_CHECKING:
    from elbowroom.inference.gap.offset_program import OffsetProgram
    from elbowroom.inference.gap.refined_program import RefinedProgram


@dataclass(frozen=True, repr=False)
class RefinedGuide(Shown):
    """The members that a ladder reached: for each rung one distribution a datum.

    Attributes:
        base: the programs and data that were refined.
        families: rung -> members, in unconstrained coordinates; of `"own-family"`, in the guide's noise.
        doubts: rung -> for each datum why an estimate from its member is to be doubted (it holds a part of the
            posterior only), or an empty string; a flag of whatever is estimated from `target`.
    """

    base: Target
    families: dict[str, Member]
    doubts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def as_table(self) -> Table:
        """The rungs, and for how many data the members of each are to be doubted."""
        rows = []
        for name, family in self.families.items():
            doubts = [text for text in self.doubts.get(name, ()) if text]
            doubted = f"{len(doubts)} of {len(family)}: {doubts[0]}" if doubts else ""
            form = ("diagonal" if family.is_diagonal else "full") + ", bent" * isinstance(family, BentFamily)
            rows.append((name, str(family.num_components), form, doubted))
        title = f"one distribution for each of {len(self.base)} data in place of the guide's, by rung"
        return Table((title,), ("rung", "components", "covariance", "doubted"), "<><<", rows, noun="rungs")

    def target(self, rung: str | None = None) -> Target:
        """The model and data with the members of a rung (default: the largest family) in place of the guide.

        Every estimator takes it: `importance(refined.target())`, `anneal`, `bracket`, `hmc`.

        Raises:
            ValueError: if there is no such rung.
        """
        name = self._named(rung)
        family, doubts = self.families[name], self.doubts.get(name, ())
        if isinstance(family, BentFamily):
            return BentTarget.of(self.base, family, doubts)
        kind = OffsetTarget if name == OWN_FAMILY else RefinedTarget
        return kind.of(self.base, family, doubts)

    def select(self, data: Tensor) -> "RefinedGuide":
        """The members of some of the data."""
        families = {name: family.select(data) for name, family in self.families.items()}
        doubts = {name: tuple(texts[b] for b in data.tolist()) for name, texts in self.doubts.items()}
        return RefinedGuide(self.base.select(data), families, doubts)

    def distribution(self, rung: str | None = None) -> Any:
        """q(u) of all data as a `pyro.distributions` object of batch shape `[B]` and event shape `[D]`.

        Of `"own-family"` it is the distribution of the guide's noise, of which latents are functions.
        """
        family = self.families[self._named(rung)]
        if isinstance(family, BentFamily):
            return bent_distribution(_distribution(family.base), family.bend)
        return _distribution(family)

    def program(self, rung: str | None = None) -> "RefinedProgram | OffsetProgram":
        """The members of a rung (default: the largest family) as a Pyro guide program for the same data, in order.

        It is a module whose parameters are the members: for `Trace_ELBO` and `SVI`, `Predictive`, `Target`.

        Raises:
            ValueError: if there is no such rung, it is `"flow"`, or a latent site stands in further plates.
        """
        from elbowroom.inference.gap.offset_program import OffsetProgram
        from elbowroom.inference.gap.refined_program import RefinedProgram

        name = self._named(rung)
        family = self.families[name]
        if isinstance(family, BentFamily):
            raise ValueError(
                f"the members of '{name}' are densities of all latents together and are not written site by site: "
                "RefinedGuide.target() evaluates and draws them, RefinedGuide.distribution() is their distribution"
            )
        kind = OffsetProgram if name == OWN_FAMILY else RefinedProgram
        return kind(self.base, family)

    def _named(self, rung: str | None) -> str:
        name = list(self.families)[-1] if rung is None else rung
        if name not in self.families:
            raise ValueError(f"rung must be one of {list(self.families)}, got {rung!r}")
        return name


def _distribution(family: Family) -> Any:
    """The members as a `pyro.distributions` object."""
    from pyro import distributions as dist

    parts = (
        dist.Normal(family.loc, family.scale).to_event(1)
        if family.is_diagonal
        else dist.MultivariateNormal(family.loc, scale_tril=family.scale)
    )
    if family.num_components > 1:
        return dist.MixtureSameFamily(dist.Categorical(logits=family.log_share), parts)
    return (
        dist.Normal(family.loc[:, 0], family.scale[:, 0]).to_event(1)
        if family.is_diagonal
        else (dist.MultivariateNormal(family.loc[:, 0], scale_tril=family.scale[:, 0]))
    )
