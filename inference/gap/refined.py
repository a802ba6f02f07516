"""The best members of each family, one distribution a datum, as a guide: semi-amortized inference."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor

from elbowroom.inference.gap.families.family import Family
from elbowroom.inference.gap.offset_target import OffsetTarget
from elbowroom.inference.gap.own_family import OWN_FAMILY
from elbowroom.inference.gap.refined_target import RefinedTarget
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
    families: dict[str, Family]
    doubts: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def as_table(self) -> Table:
        """The rungs, and for how many data the members of each are to be doubted."""
        rows = []
        for name, family in self.families.items():
            doubts = [text for text in self.doubts.get(name, ()) if text]
            doubted = f"{len(doubts)} of {len(family)}: {doubts[0]}" if doubts else ""
            rows.append((name, str(family.num_components), "diagonal" if family.is_diagonal else "full", doubted))
        title = f"one distribution for each of {len(self.base)} data in place of the guide's, by rung"
        return Table((title,), ("rung", "components", "covariance", "doubted"), "<><<", rows, noun="rungs")

    def target(self, rung: str | None = None) -> Target:
        """The model and data with the members of a rung (default: the largest family) in place of the guide.

        Every estimator takes it: `importance(refined.target())`, `anneal`, `bracket`, `hmc`.

        Raises:
            ValueError: if there is no such rung.
        """
        name = self._named(rung)
        kind = OffsetTarget if name == OWN_FAMILY else RefinedTarget
        return kind.of(self.base, self.families[name], self.doubts.get(name, ()))

    def select(self, data: Tensor) -> "RefinedGuide":
        """The members of some of the data."""
        families = {name: family.select(data) for name, family in self.families.items()}
        doubts = {name: tuple(texts[b] for b in data.tolist()) for name, texts in self.doubts.items()}
        return RefinedGuide(self.base.select(data), families, doubts)

    def distribution(self, rung: str | None = None) -> Any:
        """q(u) of all data as a `pyro.distributions` object of batch shape `[B]` and event shape `[D]`.

        Of `"own-family"` it is the distribution of the guide's noise, of which latents are functions.
        """
        from pyro import distributions as dist

        family = self.families[self._named(rung)]
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

    def program(self, rung: str | None = None) -> "RefinedProgram | OffsetProgram":
        """The members of a rung (default: the largest family) as a Pyro guide program for the same data, in order.

        It is a module whose parameters are the members: for `Trace_ELBO` and `SVI`, `Predictive`, `Target`.

        Raises:
            ValueError: if there is no such rung, or a latent site stands in further plates.
        """
        from elbowroom.inference.gap.offset_program import OffsetProgram
        from elbowroom.inference.gap.refined_program import RefinedProgram

        name = self._named(rung)
        kind = OffsetProgram if name == OWN_FAMILY else RefinedProgram
        return kind(self.base, self.families[name])

    def _named(self, rung: str | None) -> str:
        name = list(self.families)[-1] if rung is None else rung
        if name not in self.families:
            raise ValueError(f"rung must be one of {list(self.families)}, got {rung!r}")
        return name
