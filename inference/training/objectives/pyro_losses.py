"""Pyro's own losses, as its names say."""

from collections.abc import Mapping
from typing import Any

from pyro.infer import RenyiELBO, Trace_ELBO, TraceEnum_ELBO, TraceMeanField_ELBO

from elbowroom.inference.training.objectives.contract import Loss, Objective, Setting
from elbowroom.inference.training.objectives.free_bits import FreeBitsELBO
from elbowroom.inference.training.objectives.renyi import bound_of_order, check_alpha
from elbowroom.inference.training.objectives.summed_elbo import SummedELBO
from elbowroom.inference.training.objectives.summed_guide import SummedGuideELBO, finite


class PyroELBO(Objective):
    """`Trace_ELBO`: of programs with discrete latents the sum's, or with those that the guide marks summed over."""

    what = "the ELBO, E log w, by draws"
    weighs_kl = floors_kl = True

    @classmethod
    def make(cls, setting: Setting, **options: Any) -> Loss:
        """The loss that fits the programs."""
        if setting.structure.discrete:
            return SummedELBO(setting)
        if setting.free_bits:
            return FreeBitsELBO(setting.plate, setting.free_bits, closed_form=False, **of_pyro(setting))
        return (TraceEnum_ELBO if setting.structure.marked else Trace_ELBO)(**of_pyro(setting))


class EnumeratedELBO(Objective):
    """`TraceEnum_ELBO`: Pyro's of sites that the guide marks for enumeration, else the sum over those that it draws."""

    what = SummedGuideELBO.what
    weighs_kl = True

    @classmethod
    def make(cls, setting: Setting, **options: Any) -> Loss:
        """The loss that fits the programs."""
        if setting.structure.discrete and not finite(setting):
            return SummedELBO(setting)
        return TraceEnum_ELBO(**of_pyro(setting)) if setting.structure.marked else SummedGuideELBO(setting)


class PyroMeanFieldELBO(Objective):
    """`TraceMeanField_ELBO`."""

    what = "the ELBO, with the KL of each site in closed form where there is one"
    weighs_kl = floors_kl = True
    sums_out = False

    @classmethod
    def make(cls, setting: Setting, **options: Any) -> Loss:
        """The loss."""
        if setting.free_bits:
            return FreeBitsELBO(setting.plate, setting.free_bits, closed_form=True, **of_pyro(setting))
        return TraceMeanField_ELBO(**of_pyro(setting))


class PyroRenyiELBO(Objective):
    """`RenyiELBO`, of order `alpha`."""

    what = "Rényi's bound as Pyro computes it, by default of order 0; none where alpha < 0"
    least_particles = 2
    sums_out = False

    @classmethod
    def make(cls, setting: Setting, **options: Any) -> Loss:
        """The loss."""
        return RenyiELBO(alpha=options.get("alpha", 0.0), **of_pyro(setting))

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Its order."""
        return {"alpha": 0.0}

    @classmethod
    def check(cls, options: Mapping[str, Any]) -> None:
        """Raise ValueError for an order of which there is no bound."""
        super().check(options)
        check_alpha(options)

    @classmethod
    def bounds(cls, options: Mapping[str, Any]) -> str:
        """ "none" where alpha < 0."""
        return bound_of_order(options)


def of_pyro(setting: Setting) -> dict[str, Any]:
    """What Pyro's losses are told."""
    return {
        "num_particles": setting.num_particles,
        "vectorize_particles": setting.vectorize,
        "max_plate_nesting": setting.structure.nesting,
    }
