"""The ELBO with a floor under the KL of each latent (Kingma et al. 2016, equation 15):

    mean_b E_q[log p(x_b|z)] − β Σ_j max(λ, mean_b KL_bj)

j runs over the latents as `Evaluation.kl_per_dim` lists them: each dimension of a site where guide and prior factorise
over them, else the site as a whole. b runs over the minibatch, so that λ is what a latent may spend on an average datum
free of charge. Below λ its KL has no gradient. The value is below the ELBO; its optimum is not that of a bound.
"""

from collections.abc import Iterator
from typing import Any

import torch
from pyro.infer import Trace_ELBO
from pyro.infer.util import is_validation_enabled
from pyro.poutine.util import site_is_subsample
from torch import Tensor
from torch.distributions import kl_divergence

from elbowroom.inference.programs.log_prob import log_prob, site_log_prob
from elbowroom.inference.programs.private_pyro import check_mean_field
from elbowroom.inference.programs.structure import Program


class FreeBitsELBO(Trace_ELBO):
    """The loss above, in nats, summed over the data.

    Args:
        plate: name of the plate over data, or None.
        free_bits: λ in nats.
        closed_form: take the KL of two distributions from torch where it has one, as `TraceMeanField_ELBO` does.
        **options: of `Trace_ELBO`.
    """

    def __init__(self, plate: str | None, free_bits: float, closed_form: bool, **options: Any) -> None:
        super().__init__(**options)
        self.plate, self.free_bits, self.closed_form = plate, free_bits, closed_form

    def loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Its value."""
        with torch.no_grad():
            return self.differentiable_loss(model, guide, *args, **kwargs).item()

    def loss_and_grads(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> float:
        """Its value, with the gradients left in the parameters."""
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        if loss.requires_grad:
            loss.backward()
        return loss.item()

    def differentiable_loss(self, model: Program, guide: Program, *args: Any, **kwargs: Any) -> Tensor:
        """Its value as a tensor; the floor is under the mean over all particles."""
        pairs = list(self._get_traces(model, guide, args, kwargs))
        reconstruction = torch.stack([log_p for pair in pairs for log_p in _log_likelihoods(pair[0])]).sum()
        loss = -reconstruction / self.num_particles
        num_data = self._num_data(pairs[0][1])
        for name in _latents(pairs[0][1]):
            sites = [(q.nodes[name], p.nodes[name]) for p, q in pairs]
            kl = torch.stack([self._kl(*pair) for pair in sites]).sum(0) / self.num_particles
            loss = loss + (_scale(sites[0][0]) * kl.clamp(min=self.free_bits * num_data)).sum()
        return loss

    def _get_trace(self, model: Program, guide: Program, args: Any, kwargs: Any) -> Any:
        pair = super()._get_trace(model, guide, args, kwargs)
        if self.closed_form and is_validation_enabled():
            check_mean_field(*pair)
        return pair

    def _num_data(self, trace: Any) -> int:
        frames = {f.name: f.size for site in trace.nodes.values() for f in site.get("cond_indep_stack", ())}
        return frames[self.plate] if self.plate is not None else 1

    def _kl(self, q: Any, p: Any) -> Tensor:
        """KL(q ‖ p) of a site by latent, summed over the data and particles of the traces."""
        if not q["fn"].has_rsample:
            raise ValueError(
                f"free_bits={self.free_bits:g} needs draws that carry gradients, and those of site '{q['name']}' "
                f"({type(q['fn']).__name__}) do not: use free_bits=0, or a guide with reparameterised draws"
            )
        num_dims = q["fn"].event_dim
        by_element = [_by_element(site, num_dims) for site in (q, p)]
        if not all(by_element):
            return (site_log_prob(q) - site_log_prob(p)).sum()
        terms = self._closed_form(*by_element)
        if terms is None:
            terms = log_prob(by_element[0], q["value"]) - log_prob(by_element[1], q["value"])
        return terms.reshape(-1, *terms.shape[terms.dim() - num_dims :]).sum(0)

    def _closed_form(self, q: Any, p: Any) -> Tensor | None:
        try:
            return kl_divergence(q, p) if self.closed_form else None
        except NotImplementedError:
            return None


def _log_likelihoods(trace: Any) -> Iterator[Tensor]:
    return (s["log_prob_sum"] for s in trace.nodes.values() if s["type"] == "sample" and s["is_observed"])


def _latents(trace: Any) -> list[str]:
    sites = {n: s for n, s in trace.nodes.items() if s["type"] == "sample" and not site_is_subsample(s)}
    return [name for name, site in sites.items() if not site["is_observed"]]


def _by_element(site: Any, num_dims: int) -> Any:
    """The site's distribution as one of the elements of its event; None where it is none, or masked."""
    fn, reinterpreted = site["fn"], 0
    while hasattr(fn, "reinterpreted_batch_ndims"):
        reinterpreted, fn = reinterpreted + fn.reinterpreted_batch_ndims, fn.base_dist
    is_open = site["mask"] is None or site["mask"] is True
    return fn if reinterpreted == num_dims and not fn.event_shape and is_open else None


def _scale(site: Any) -> float | Tensor:
    """β, times the program's own scale where that is kept."""
    scale = site["scale"]
    if isinstance(scale, Tensor) and scale.numel() > 1:
        raise ValueError(
            f"free_bits floors the KL of site '{site['name']}' as a whole, and a scale of shape {tuple(scale.shape)} "
            "weighs its parts differently: use one number, or free_bits=0"
        )
    return scale.reshape(()) if isinstance(scale, Tensor) else float(scale)
