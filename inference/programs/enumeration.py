"""Finite discrete latents, summed out exactly for each sample and datum by Pyro's enumeration."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from pyro.ops.contract import contract_to_tensor
from pyro.ops.packed import unpack
from pyro.poutine.enum_messenger import EnumMessenger
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.log_prob import enumerable, site_log_prob
from elbowroom.inference.programs.masks import hidden_log_prob, is_deterministic
from elbowroom.inference.programs.structure import Structure
from elbowroom.inference.programs.triple import SAMPLES, Triple


class _EnumerateSites(Messenger):
    """Marks the given sites for parallel enumeration; a point (Delta) of one is its only value."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.names and enumerable(msg["fn"]):
            msg["infer"] = {**(msg["infer"] or {}), "enumerate": "parallel"}


def summed_log_joint(
    triple: Triple, num_samples: int | None, setter: Messenger, *inner: Messenger
) -> dict[str, Tensor]:
    """log p(z) = log Σ_k p(z, k) and log p(x | z) = log Σ_k p(x, z, k) − log p(z), `[S, B]` each.

    k runs over the finite discrete latents that the guide leaves to the model, each with its own normalised prior,
    whatever masks are around it: one whose dependents are all masked sums to one, as an absent step of a chain must.
    The sums are done by tensor variable elimination (Obermeyer et al. 2019), so several sites cost less than their
    product where the model factorises. `inner` are messengers that act before sites are enumerated.
    """
    trace = triple.trace("model", num_samples, setter, *enumeration(triple.structure), *inner)
    given = triple.structure.given
    terms = {name: site_log_prob(site) for name, site in _random(trace) if name not in given}
    sites = _packed(trace, terms)
    total = _summed(sites, trace, triple, num_samples or 1)
    prior = _summed([site for site in sites if not site["is_observed"]], trace, triple, num_samples or 1)
    # Outside the prior's support the likelihood is not defined; the joint is −∞ whatever it is called.
    return {"prior": prior, "likelihood": torch.where(prior == -torch.inf, 0.0, total - prior)}


def summed_log_guide(
    triple: Triple, num_samples: int | None, setter: Messenger, density: Callable[[Any], Tensor] = site_log_prob
) -> Tensor:
    """log q(z | x) = log Σ_k q(z, k | x), `[S, B]`, where k runs over finite discrete sites that the guide draws.

    `density` is what is read of the other sites; k has its own normalised probabilities, whatever masks are around it.
    """
    structure = triple.structure
    marks = [EnumMessenger(first_available_dim=-2 - structure.nesting), _EnumerateSites(structure.collapsed)]
    trace = triple.trace("guide", num_samples, setter, *marks)
    terms = {
        name: (site_log_prob if name in structure.collapsed else density)(site)
        for name, site in _random(trace)
        if not (site["is_observed"] and name in (*structure.observed, *structure.given))  # a guide that runs the model
    }
    return _summed(_packed(trace, terms), trace, triple, num_samples or 1)


def summed_log_masked(triple: Triple, num_samples: int | None, setter: Messenger, *inner: Messenger) -> Tensor:
    """log Σ_k p(k) p(what masks hide of z | k, the rest of z), `[S, B]`: the density of draws that `Fill` makes."""
    trace = triple.trace("model", num_samples, setter, *enumeration(triple.structure), *inner)
    latents, masked = triple.structure.latents, triple.structure.masked
    terms = {
        name: hidden_log_prob(site) if name in masked else site_log_prob(site)
        for name, site in _random(trace)
        if name in masked or (name not in latents and not site["is_observed"])
    }
    return _summed(_packed(trace, terms), trace, triple, num_samples or 1)


def _random(trace: Any) -> list[tuple[str, Any]]:
    return [
        (name, site)
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and not site_is_subsample(site) and not is_deterministic(site)
    ]


def _packed(trace: Any, terms: Mapping[str, Tensor]) -> list[Any]:
    """Sites with these log densities, whose dims `pack_tensors` names."""
    for name, term in terms.items():
        trace.nodes[name]["log_prob"] = trace.nodes[name]["unscaled_log_prob"] = term
    trace.compute_log_prob()  # of the rest
    trace.pack_tensors()
    return [trace.nodes[name] for name in terms]


def _summed(sites: Sequence[Any], trace: Any, triple: Triple, leading: int) -> Tensor:
    """log Σ_k Π of the sites' densities, `[S, B]`."""
    symbols = trace.plate_to_symbol
    kept: set[str] = set()
    factors: Any = OrderedDict()
    dims: set[str] = set()
    for site in sites:
        # Packing drops dims of size 1, so plates of size 1 (one datum, one sample) must not be asked for.
        plates = {f.name: symbols[f.name] for f in site["cond_indep_stack"] if f.vectorized and f.size > 1}
        kept |= {plates[name] for name in (triple.plate, SAMPLES) if name in plates}
        term = site["packed"]["log_prob"]
        dims |= set(term._pyro_dims) - set(symbols.values())
        factors.setdefault(frozenset(plates.values()), []).append(term)
    return _contract(factors, dims, kept, trace, triple, leading)


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
