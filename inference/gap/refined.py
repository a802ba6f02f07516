"""The best members of each family, one distribution a datum, as a guide: semi-amortized inference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.gap.families.family import Family
from elbowroom.inference.programs.structure import ProgramError
from elbowroom.inference.programs.terms import Values
from elbowroom.inference.showing.shown import Shown
from elbowroom.inference.showing.table import Table
from elbowroom.inference.target import Target

if TYPE_CHECKING:
    from elbowroom.inference.gap.refined_program import RefinedProgram

_KEYS = ("refined_log_share", "refined_loc", "refined_scale")


class RefinedTarget(Target):
    """A target whose guide is a family member of its own for each datum; everything that takes a target takes it.

    Made by `RefinedGuide.target`. The members travel as per-datum arguments, so they are cut with the data.

    Attributes:
        doubts: for each datum what is to be doubted of its member, or an empty string.
    """

    doubts: tuple[str, ...]

    @classmethod
    def of(cls, target: Target, family: Family, doubts: tuple[str, ...] = ()) -> "RefinedTarget":
        """The same model and data, each datum with its own member, in the data's dtype, and what is to be doubted."""
        values = (t.to(target.device, target.dtype) for t in (family.log_share, family.loc, family.scale))
        refined = cls.like(
            target,
            model=_Without(target.model),
            guide=_Without(target.guide),
            structure=replace(target.structure, cautions=()),  # they are of the guide that is replaced
            kwargs=target.kwargs | dict(zip(_KEYS, values, strict=True)),
            per_datum=target.per_datum | dict.fromkeys(_KEYS, 0),
        )
        refined.doubts = doubts or ("",) * len(target)
        return refined

    @property
    def cautions(self) -> tuple[str, ...]:
        """For each datum why what rests on its member is to be doubted, known from when it was found; or empty."""
        return self.doubts

    def at(self, index: Tensor) -> "RefinedTarget":
        """As `Target.at`; doubts stay with their data."""
        return super().at(index).replaced(doubts=tuple(self.doubts[b] for b in index.tolist()))

    def pinned_to(self, values: Mapping[int | str, Tensor]) -> "RefinedTarget":
        """As `Target.pinned_to`; what is known of some data is not known of others."""
        return super().pinned_to(values).replaced(doubts=("",) * len(self))

    def pick(self, index: Tensor) -> "RefinedTarget":
        """As `Triple.pick`, the members cut with the data: the programs do not see them."""
        new = super().pick(index)
        members = {key: new.kwargs[key][index.to(self.device)] for key in _KEYS}
        return new.replaced(kwargs=new.kwargs | members, doubts=tuple(self.doubts[b] for b in index.tolist()))

    @property
    def family(self) -> Family:
        """The members."""
        return Family(*(self.kwargs[key] for key in _KEYS))

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
        log_q, values = family.log_density(u), coordinates.unpack(u)
        if coordinates.real:
            return values, log_q
        _, log_jacobian, z = self.log_joint_unconstrained(values)
        return z, log_q - log_jacobian

    def log_guide(self, z: Mapping[str, Tensor]) -> Tensor:
        """The members' log density at any point, as `Target.log_guide`."""
        coordinates = Coordinates.of(self)
        if coordinates.real:
            return self.family.log_density(coordinates.pack(z))
        u = coordinates.unconstrain(z)
        return self.family.log_density(u) - self.log_joint_unconstrained(coordinates.unpack(u))[1]

    def latent_terms(self, z: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Members are densities of all latents together: refused, as by `Target.latent_terms`."""
        raise ProgramError(
            "the members are densities of all latents together; for densities of each site use "
            "Target(model, refined.program(), x)"
        )


@dataclass(frozen=True, repr=False)
class RefinedGuide(Shown):
    """The members that a ladder reached: for each rung one distribution a datum.

    Attributes:
        base: the programs and data that were refined.
        families: rung -> members, in unconstrained coordinates.
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
        return RefinedTarget.of(self.base, self.families[name], self.doubts.get(name, ()))

    def select(self, data: Tensor) -> "RefinedGuide":
        """The members of some of the data."""
        families = {name: family.select(data) for name, family in self.families.items()}
        doubts = {name: tuple(texts[b] for b in data.tolist()) for name, texts in self.doubts.items()}
        return RefinedGuide(self.base.select(data), families, doubts)

    def distribution(self, rung: str | None = None) -> Any:
        """q(u) of all data as a `pyro.distributions` object of batch shape `[B]` and event shape `[D]`."""
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

    def program(self, rung: str | None = None) -> "RefinedProgram":
        """The members of a rung (default: the largest family) as a Pyro guide program for the same data, in order.

        It is a module whose parameters are the members: for `Trace_ELBO` and `SVI`, `Predictive`, `Target`.

        Raises:
            ValueError: if there is no such rung, or a latent site stands in further plates.
        """
        from elbowroom.inference.gap.refined_program import RefinedProgram

        return RefinedProgram(self.base, self.families[self._named(rung)])

    def _named(self, rung: str | None) -> str:
        name = list(self.families)[-1] if rung is None else rung
        if name not in self.families:
            raise ValueError(f"rung must be one of {list(self.families)}, got {rung!r}")
        return name


class _Without:
    """A program that is not given the members."""

    def __init__(self, program: Callable[..., Any]) -> None:
        self.program = program

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.program(*args, **{k: v for k, v in kwargs.items() if k not in _KEYS})
