"""The ELBO of programs whose discrete latents are summed out: log p(x, z) = log Σ_k p(x, z, k).

    ELBO_b = E_{q(z|x_b)}[log Σ_k p(x_b, z, k) − log q(z | x_b)]

k runs over the finite discrete latents that the guide leaves to the model, marked for enumeration here, whatever the
program says of them. It is the density that `Target` evaluates (`programs/enumeration.py`): each k with its own
normalised prior under any mask, sums that do not underflow. The gradient is that of the draws where the guide's sites
are reparameterised, and of their score, weighed by the datum's log w, where they are not.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from pyro.distributions.util import is_identically_zero
from pyro.infer import Trace_ELBO
from pyro.infer.util import torch_item
from torch import Tensor

from elbowroom.inference.programs.enumeration import Factor, log_sums, marks, named_factors
from elbowroom.inference.programs.handlers import Unmask, under
from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.masks import is_deterministic
from elbowroom.inference.programs.structure import Program, Structure

_PARTICLES = "num_particles_vectorized"
"""Pyro's name of the plate of particles."""


class SummedELBO(Trace_ELBO):
    """`Trace_ELBO` with the discrete latents of the model summed out.

    Args:
        structure: of both programs.
        plate: name of the plate over data, or None.
        **options: of `Trace_ELBO`.
    """

    def __init__(self, structure: Structure, plate: str | None, **options: Any) -> None:
        super().__init__(max_plate_nesting=structure.nesting, **options)
        self.structure, self.plate = structure, plate

    def loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Minus the ELBO, in nats, summed over the data."""
        with torch.no_grad():
            losses = [self._differentiable_loss_particle(*pair)[0] for pair in self._pairs(model, guide, args, kwargs)]
        return float(sum(losses) / self.num_particles)

    def _pairs(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Iterator[tuple[Any, Any]]:
        return self._get_traces(model, guide, args, kwargs)

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Any:
        sites = self.structure.discrete
        stack = [Unmask(sites), *marks(sites, self.structure.nesting)]

        def enumerated(*args: Any, **kwargs: Any) -> Any:
            return under(stack, lambda: model(*args, **kwargs))

        return super()._get_trace(enumerated, guide, args, kwargs)

    def _differentiable_loss_particle(self, model_trace: Any, guide_trace: Any) -> tuple[float, Tensor]:
        by_datum = self._by_datum(model_trace)
        log_joint = torch.stack([by_datum(term) for term in self._log_joint(model_trace)]).sum(0)
        sites = [site for site in guide_trace.nodes.values() if site["type"] == "sample"]
        log_w = sum((-by_datum(site["log_prob"]) for site in sites), log_joint)
        surrogate = log_joint.sum()
        for site in sites:
            _, score, entropy = site["score_parts"]
            if not is_identically_zero(entropy):
                surrogate = surrogate - entropy.sum()
            if not is_identically_zero(score):
                surrogate = surrogate + (log_w.detach() * by_datum(score)).sum()
        return -torch_item(log_w.sum()), -surrogate

    def _log_joint(self, trace: Any) -> Iterator[Tensor]:
        """log p(x, z) in terms over plates: of the sites that see no k, and of all others together."""
        sites = {n: s for n, s in trace.nodes.items() if s["type"] == "sample" and not is_deterministic(s)}
        factors = named_factors(trace, {name: site_log_prob(site) for name, site in sites.items()})
        for factor in factors:
            if not factor.dims:
                yield site_log_prob(factor.site) * factor.site["scale"]
        summed = [factor for factor in factors if factor.dims]
        if summed:
            yield log_sums(summed, trace, keep=(self.plate, _PARTICLES)) * _common_scale(summed)

    def _by_datum(self, trace: Any) -> Callable[[Tensor], Tensor]:
        """Sums over all plates but particles and data: `[P, B]`."""
        frames = {f.name: f.size for site in trace.nodes.values() for f in site.get("cond_indep_stack", ())}
        num_data = frames[self.plate] if self.plate is not None else 1
        return lambda term: self.structure.per_datum(term, frames.get(_PARTICLES, 1), num_data)


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
