"""Both programs run on draws of the guide, and their log densities read off by particle and datum.

A minibatch is of any size, so the number of its data is read off each run. Where the guide leaves finite latents to the
model they are enumerated there, and log p(x, z) is log Σ_k p(x, z, k): each k with its own normalised prior under any
mask, sums that do not underflow, as in `Target` (`programs/enumeration.py`).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyro
import torch
from pyro import poutine
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import prune_subsample_sites
from torch import Tensor

from elbowroom.inference.programs.enumeration import Factor, log_sums, marks, named_factors
from elbowroom.inference.programs.handlers import Unmask, under
from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.masks import is_deterministic
from elbowroom.inference.programs.structure import Program
from elbowroom.inference.training.objectives.contract import Setting

_PARTICLES = "_elbowroom_particles"
"""Name of the plate of particles."""


class Programs(NamedTuple):
    """Both programs and what they are called with."""

    model: Program
    guide: Program
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def pairs(setting: Setting, programs: Programs, *on_guide: Messenger) -> Iterator[tuple[Any, Any]]:
    """Traces of the model and the guide that it replays: one pair of all particles, or one of each."""
    for _ in range(1 if setting.vectorize else setting.num_particles):
        guide = trace_of(setting, programs, programs.guide, *on_guide)
        yield trace_of(setting, programs, poutine.replay(enumerating(setting, programs.model), trace=guide)), guide


def trace_of(setting: Setting, programs: Programs, program: Program, *messengers: Messenger) -> Any:
    """The trace of one run, in the plate of particles if there is one.

    The messengers stand around the trace: what they make of a value after it is drawn is what the trace holds.
    """
    plate: list[Any] = []
    if setting.vectorize:
        plate = [pyro.plate(_PARTICLES, setting.num_particles, dim=-1 - setting.structure.nesting)]

    def run() -> Any:
        return under(plate, lambda: program(*programs.args, **programs.kwargs))

    return prune_subsample_sites(under(list(messengers), lambda: poutine.trace(run).get_trace()))


def enumerating(setting: Setting, model: Program) -> Program:
    """The model with all values of the finite latents that the guide leaves to it, each with its normalised prior."""
    sites = setting.structure.discrete
    if not sites:
        return model
    stack = [Unmask(sites), *marks(sites, setting.structure.nesting)]
    return lambda *args, **kwargs: under(stack, lambda: model(*args, **kwargs))


def log_joint(setting: Setting, trace: Any) -> Tensor:
    """log p(x, z) of a run of the model, `[K, B]`, each site with its scale."""
    terms = list(_log_joint_terms(setting, trace))
    return torch.stack([by_datum(setting, trace)(term) for term in terms]).sum(0)


def random_sites(trace: Any) -> list[Any]:
    """The records of its sample sites."""
    return [site for site in trace.nodes.values() if site["type"] == "sample"]


def by_datum(setting: Setting, trace: Any) -> Callable[[Tensor], Tensor]:
    """Sums log densities of a run over all plates but particles and data: `[K, B]`, K = 1 in a run of one particle."""
    num_data, particles = num_data_of(setting, trace), _sizes(trace).get(_PARTICLES, 1)
    return lambda term: setting.structure.per_datum(term, particles, num_data)


def num_data_of(setting: Setting, trace: Any) -> int:
    """B, the size of the data plate in a run."""
    return _sizes(trace)[setting.plate] if setting.plate is not None else 1


def _sizes(trace: Any) -> dict[str, int]:
    return {f.name: f.size for site in trace.nodes.values() for f in site.get("cond_indep_stack", ())}


def _log_joint_terms(setting: Setting, trace: Any) -> Iterator[Tensor]:
    """Terms over plates: of the sites that see none of the latents that are summed out, and of all others together."""
    sites = {s["name"]: s for s in random_sites(trace) if not is_deterministic(s)}
    if not setting.structure.discrete:
        yield from (site_log_prob(site) * site["scale"] for site in sites.values())
        return
    factors = named_factors(trace, {name: site_log_prob(site) for name, site in sites.items()})
    for factor in factors:
        if not factor.dims:
            yield site_log_prob(factor.site) * factor.site["scale"]
    summed = [factor for factor in factors if factor.dims]
    if summed:
        yield log_sums(summed, trace, keep=(setting.plate, _PARTICLES)) * _common_scale(summed)


def _common_scale(factors: list[Factor]) -> float:
    """The scale of sites that are summed together: log Σ Π of factors with scales of their own has no meaning.

    Raises:
        ValueError: naming the sites.
    """
    scales = {factor.site["name"]: float(factor.site["scale"]) for factor in factors}
    if len(set(scales.values())) > 1:
        raise ValueError(
            f"sites that are summed over discrete latents together have different scales: {scales}. Put them in the "
            "same subsampling plates and the same poutine.scale"
        )
    return next(iter(scales.values()))
