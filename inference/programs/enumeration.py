"""Finite discrete latents, summed out exactly for each sample and datum by Pyro's enumeration."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from pyro.ops.packed import pack, unpack
from pyro.poutine.enum_messenger import EnumMessenger
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.elimination import log_sum_product
from elbowroom.inference.programs.log_prob import enumerable, site_log_prob
from elbowroom.inference.programs.masks import hidden_log_prob, is_deterministic
from elbowroom.inference.programs.pinned_programs import SAMPLES
from elbowroom.inference.programs.private_pyro import dims_of
from elbowroom.inference.programs.structure import Structure
from elbowroom.inference.programs.triple import Triple


class _Enumerate(EnumMessenger):
    """Pyro's enumeration, under `torch.vmap` too: of a value it reads the shape alone, which Pyro asks `.data` for."""

    def _pyro_post_sample(self, msg: Any) -> None:
        if isinstance(msg["value"], Tensor):
            msg = {**msg, "value": torch.empty(msg["value"].shape, device="meta")}
        super()._pyro_post_sample(msg)


class _EnumerateSites(Messenger):
    """Marks the given sites for parallel enumeration, and no others: a program's own marks may be on what is set.

    A point (Delta) of a site is its only value.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.names = names

    def _pyro_sample(self, msg: Any) -> None:
        asked = "parallel" if msg["name"] in self.names and enumerable(msg["fn"]) else None
        msg["infer"] = {**(msg["infer"] or {}), "enumerate": asked}


def summed_log_joint(
    triple: Triple, num_samples: int | None, setter: Messenger, *inner: Messenger
) -> dict[str, Tensor]:
    """log p(z) = log Σ_k p(z, k) and log p(x | z) = log Σ_k p(x, z, k) − log p(z), `[S, B]` each.

    k runs over the finite discrete latents that the guide leaves to the model, each with its own normalised prior,
    whatever masks are around it: one whose dependents are all masked sums to one, as an absent step of a chain must.
    The sums are done by variable elimination (`elimination.py`), so several sites cost less than their product where
    the model factorises. `inner` are messengers that act before sites are enumerated.
    """
    trace = triple.trace("model", num_samples, setter, *enumeration(triple.structure), *inner)
    given = triple.structure.given
    terms = {name: site_log_prob(site) for name, site in _random(trace) if name not in given}
    factors = named_factors(trace, terms)
    total = _summed(factors, trace, triple, num_samples or 1)
    prior = _summed(_without_leaves(f for f in factors if not f.site["is_observed"]), trace, triple, num_samples or 1)
    # Outside the prior's support the likelihood is not defined; the joint is −∞ whatever it is called.
    return {"prior": prior, "likelihood": torch.where(prior == -torch.inf, 0.0, total - prior)}


def summed_log_guide(
    triple: Triple, num_samples: int | None, setter: Messenger, density: Callable[[Any], Tensor] = site_log_prob
) -> Tensor:
    """log q(z | x) = log Σ_k q(z, k | x), `[S, B]`, where k runs over finite discrete sites that the guide draws.

    `density` is what is read of the other sites; k has its own normalised probabilities, whatever masks are around it.
    """
    structure = triple.structure
    trace = triple.trace("guide", num_samples, setter, *marks(structure.collapsed, structure.nesting))
    terms = {
        name: (site_log_prob if name in structure.collapsed else density)(site)
        for name, site in _random(trace)
        if not structure.observes(name, site)
    }
    return _summed(named_factors(trace, terms), trace, triple, num_samples or 1)


def summed_log_masked(triple: Triple, num_samples: int | None, setter: Messenger, *inner: Messenger) -> Tensor:
    """log Σ_k p(k) p(what masks hide of z | k, the rest of z), `[S, B]`: the density of draws that `Fill` makes."""
    trace = triple.trace("model", num_samples, setter, *enumeration(triple.structure), *inner)
    latents, masked = triple.structure.latents, triple.structure.masked
    terms = {
        name: hidden_log_prob(site) if name in masked else site_log_prob(site)
        for name, site in _random(trace)
        if name in masked or (name not in latents and not site["is_observed"])
    }
    return _summed(_without_leaves(named_factors(trace, terms)), trace, triple, num_samples or 1)


def enumeration(structure: Structure) -> list[Messenger]:
    """Messengers that enumerate the discrete latents in parallel; none for a model without."""
    parallel = tuple(name for name in structure.discrete if name not in structure.sequential)
    return marks(parallel, structure.nesting) if parallel else []


def marks(names: tuple[str, ...], nesting: int) -> list[Messenger]:
    """Messengers that enumerate these sites in dims to the left of `nesting` plates and one of samples.

    Marks are set first, then dims are given out, then values: the innermost messenger, the last, acts first.
    """
    return [_Enumerate(first_available_dim=-2 - nesting), _EnumerateSites(names)]


class Factor(NamedTuple):
    """A site and its log density, whose dims are named.

    Attributes:
        site: Pyro's record.
        log_density: packed (`pyro.ops.packed`).
        dims: those of its dims that are enumerated.
    """

    site: Any
    log_density: Any
    dims: frozenset[str]


def _random(trace: Any) -> list[tuple[str, Any]]:
    return [
        (name, site)
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and not site_is_subsample(site) and not is_deterministic(site)
    ]


def named_factors(trace: Any, terms: Mapping[str, Tensor]) -> list[Factor]:
    """Sites of a trace with these log densities, in the order of the program."""
    trace.symbolize_dims()
    return [_named(trace, trace.nodes[name], term) for name, term in terms.items()]


def _named(trace: Any, site: Any, term: Tensor) -> Factor:
    try:
        packed = pack(term[...], site["infer"]["_dim_to_symbol"])
    except ValueError as error:
        error.add_note(f"at site '{site['name']}', whose log density has shape {tuple(term.shape)}")
        raise
    return Factor(site, packed, frozenset(dims_of(packed)) - frozenset(trace.plate_to_symbol.values()))


def _without_leaves(factors: Iterable[Factor]) -> list[Factor]:
    """The factors but those that sum to one: of an enumerated site whose values none of the later ones reads."""
    kept: list[Factor] = []
    read: set[str] = set()
    for factor in reversed(list(factors)):
        own = factor.site["infer"].get("_enumerate_symbol")
        if own not in factor.dims or own in read:
            kept.append(factor)
            read |= factor.dims
    return kept[::-1]


def log_sums(factors: Iterable[Factor], trace: Any, keep: Collection[str | None]) -> Tensor:
    """log Σ_k Π of the factors in the dims that they have in the program, multiplied over all plates but those kept."""
    symbols = trace.plate_to_symbol
    kept: set[str] = set()
    by_plates: dict[frozenset[str], list[Any]] = {}
    dims: set[str] = set()
    for factor in factors:
        # Packing drops dims of size 1, so plates of size 1 (one datum, one sample) must not be asked for.
        plates = {f.name: symbols[f.name] for f in factor.site["cond_indep_stack"] if f.vectorized and f.size > 1}
        kept |= {plates[name] for name in keep if name in plates}
        dims |= factor.dims
        by_plates.setdefault(frozenset(plates.values()), []).append(factor.log_density)
    total: Tensor = unpack(log_sum_product(by_plates, dims, frozenset(kept)), trace.symbol_to_dim)
    return total


def _summed(factors: Sequence[Factor], trace: Any, triple: Triple, leading: int) -> Tensor:
    """log Σ_k Π of the factors, `[S, B]`."""
    if not factors:
        return torch.zeros(leading, len(triple), device=triple.device, dtype=triple.dtype)
    total = log_sums(factors, trace, keep=(triple.plate, SAMPLES))
    return triple.structure.per_datum(total, leading, len(triple))
