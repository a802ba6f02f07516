"""Finite discrete latents, summed out exactly for each sample and datum by Pyro's enumeration."""

from collections import OrderedDict
from typing import Any

import torch
from pyro.ops.contract import contract_to_tensor
from pyro.ops.packed import unpack
from pyro.poutine.enum_messenger import EnumMessenger
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.structure import Structure
from elbowroom.inference.programs.triple import SAMPLES, Triple


class _EnumerateSites(Messenger):
    """Marks the given sites for parallel enumeration."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.names:
            msg["infer"] = {**(msg["infer"] or {}), "enumerate": "parallel"}


def summed_log_joint(
    triple: Triple, num_samples: int | None, setter: Messenger, *inner: Messenger
) -> dict[str, Tensor]:
    """log p(z) = log Σ_k p(z, k) and log p(x | z) = log Σ_k p(x, z, k) − log p(z), `[S, B]` each.

    k runs over the finite discrete latents that the guide leaves to the model. The sums are done by tensor variable
    elimination (Obermeyer et al. 2019), so several sites cost less than their product where the model factorises.
    `inner` are messengers that act before sites are enumerated.
    """
    trace = triple.trace("model", num_samples, setter, *enumeration(triple.structure), *inner)
    for site in trace.nodes.values():
        if site["type"] == "sample" and not site_is_subsample(site):
            site["log_prob"] = site["unscaled_log_prob"] = site_log_prob(site)
    trace.compute_log_prob()  # of the rest
    trace.pack_tensors()
    symbols = trace.plate_to_symbol
    kept: set[str] = set()
    everything: Any = OrderedDict()
    latent: Any = OrderedDict()
    dims: set[str] = set()
    for site in trace.nodes.values():
        if site["type"] != "sample" or site_is_subsample(site):
            continue
        # Packing drops dims of size 1, so plates of size 1 (one datum, one sample) must not be asked for.
        plates = {f.name: symbols[f.name] for f in site["cond_indep_stack"] if f.vectorized and f.size > 1}
        ordinal = frozenset(plates.values())
        kept |= {plates[name] for name in (triple.plate, SAMPLES) if name in plates}
        term = site["packed"]["log_prob"]
        dims |= set(term._pyro_dims) - set(symbols.values())
        everything.setdefault(ordinal, []).append(term)
        if not site["is_observed"]:
            latent.setdefault(ordinal, []).append(term)
    leading = num_samples or 1
    total = _contract(everything, dims, kept, trace, triple, leading)
    latent_dims = {d for terms in latent.values() for t in terms for d in t._pyro_dims} & dims
    prior = _contract(latent, latent_dims, kept, trace, triple, leading)
    # Outside the prior's support the likelihood is not defined; the joint is −∞ whatever it is called.
    return {"prior": prior, "likelihood": torch.where(prior == -torch.inf, 0.0, total - prior)}


def enumeration(structure: Structure) -> list[Messenger]:
    """Messengers that enumerate the discrete latents in parallel; none for a model without.

    Marks are set first, then dims are given out, then values: the innermost messenger, the last, acts first.
    """
    parallel = tuple(name for name in structure.discrete if name not in structure.sequential)
    if not parallel:
        return []
    return [EnumMessenger(first_available_dim=-2 - structure.nesting), _EnumerateSites(parallel)]


def _contract(factors: Any, dims: set[str], kept: set[str], trace: Any, triple: Triple, leading: int) -> Tensor:
    if not factors:
        return torch.zeros(leading, len(triple), device=triple.device)
    term = contract_to_tensor(factors, dims, target_ordinal=frozenset(kept))
    full = unpack(term, trace.symbol_to_dim)
    return triple.structure.per_datum(full, leading, len(triple))
