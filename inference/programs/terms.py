"""What is read off one run of a program: draws, log densities, their split by site.

A term is `term(triple, given, num_samples, arrange) -> (values, terms)`. It places the values that it was given
(`[S, B, ...]`) where the program has them, traces one run under the messengers that ask its question, and reads the
trace: values by site back to `[S, B, ...]`, and log densities summed over all of a site's batch dims but samples and
data, `[S, B]`. In a plain run `num_samples` is None and S is 1. `arrange` is the layout's: it brings noise
`[S, B, n]` to the batch shape of a site.
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from elbowroom.inference.programs.autoguides import auxiliary_values
from elbowroom.inference.programs.branches import over_branches
from elbowroom.inference.programs.enumeration import (
    enumeration,
    summed_log_masked,
)
from elbowroom.inference.programs.handlers import Draw, Fill, Latents, Set, SetUnconstrained
from elbowroom.inference.programs.latent import Latent
from elbowroom.inference.programs.log_prob import bijection, log_prob, site_log_prob
from elbowroom.inference.programs.masks import hidden_log_prob, seen_log_prob
from elbowroom.inference.programs.noise import Noise
from elbowroom.inference.programs.structure import ProgramError, Structure
from elbowroom.inference.programs.sums import Values, joint, log_q_of, summed_log_q
from elbowroom.inference.programs.triple import Triple

Arrange = Callable[[Tensor, torch.Size], Tensor]
Result = tuple[Values, Values]
"""Values by site and terms by name, all `[S, B, ...]`."""
Term = Callable[..., Result]

HIDDEN = "hidden: "
"""Before a site's name: the log density of what masks hide of it."""


def draw(triple: Triple, given: Values, num_samples: int | None, arrange: Arrange, *, noise: Noise) -> Result:
    """Draws of the guide, and their log density: `log_q` as masks leave it, `hidden` of the rest where that counts."""
    trace = triple.trace("guide", num_samples, Draw(noise, arrange))
    values = collected(triple, {n: trace.nodes[n]["value"] for n in triple.structure.latents}, num_samples)
    if triple.structure.collapsed:  # the density of the draws whatever the discrete sites were
        return values, guide_density(triple, values, num_samples, arrange)[1]
    return values, log_q_of(trace, triple, num_samples)


def guide_density(triple: Triple, given: Values, num_samples: int | None, arrange: Arrange) -> Result:
    """`log_q` at given values, and `hidden`, as `draw`."""
    placed = place(triple.structure, given, num_samples)
    if triple.structure.auxiliary:
        placed = auxiliary_values(triple.guide, triple.structure, placed)
    if triple.structure.collapsed:
        return {}, summed_log_q(triple, num_samples, Set(placed))
    trace = triple.trace("guide", num_samples, Set(placed))
    return {}, log_q_of(trace, triple, num_samples)


def fill(triple: Triple, given: Values, num_samples: int | None, arrange: Arrange, *, noise: Noise) -> Result:
    """Given values, with draws of the model's prior, given the others, in place of what masks hide."""
    structure, seen = triple.structure, Latents(triple.structure.latents)
    with seen.enough():
        filler = Fill(place(structure, given, num_samples), structure.masked, noise, arrange)
        triple.trace("model", num_samples, seen, filler)
    return collected(triple, {name: site["value"] for name, site in seen.sites.items()}, num_samples), {}


def masked_density(triple: Triple, given: Values, num_samples: int | None, arrange: Arrange) -> Result:
    """`log_p`: the log prior density, given the other latents, of what masks hide."""
    structure = triple.structure
    setter = Set(place(structure, given, num_samples))

    def on_branch(*branch: Messenger) -> Values:
        log_p = summed_log_masked(triple, num_samples, setter, *branch)
        return {"prior": log_p, "likelihood": torch.zeros_like(log_p)}

    if structure.sequential:
        return {}, {"log_p": over_branches(structure, on_branch)["prior"]}
    if structure.discrete:
        return {}, {"log_p": on_branch()["prior"]}
    seen = Latents(structure.latents)
    with seen.enough():
        triple.trace("model", num_samples, seen, setter)
    hidden = [hidden_log_prob(seen.sites[name]) for name in structure.masked]
    parts = [structure.per_datum(part, num_samples or 1, len(triple)) for part in hidden]
    return {}, {"log_p": torch.stack(parts).sum(0)}


def joint_density(triple: Triple, given: Values, num_samples: int | None, arrange: Arrange) -> Result:
    """`prior` = log p(z) and `likelihood` = log p(x | z) at given values."""
    return {}, joint(triple, num_samples, Set(place(triple.structure, given, num_samples)))


def joint_density_unconstrained(triple: Triple, given: Values, num_samples: int | None, arrange: Arrange) -> Result:
    """The joint at z = T(u) with `log_jacobian` = log |det dT/du|, and z itself."""
    structure = triple.structure
    setter = SetUnconstrained(place(structure, given, num_samples, unconstrained=True))
    terms = joint(triple, num_samples, setter)
    if setter.unequal:
        raise ProgramError(
            f"the supports of the sites {sorted(setter.unequal)} depend on {list(structure.sequential)}, summed out by "
            "running every branch: one point would have another value in each. Give them one support in all branches"
        )
    jacobians = [structure.per_datum(j, num_samples or 1, len(triple)) for j in setter.log_jacobian.values()]
    terms["log_jacobian"] = sum(jacobians, torch.zeros_like(terms["prior"]))
    return collected(triple, setter.values, num_samples), terms


def prior_alone(
    triple: Triple, given: Values, num_samples: int | None, arrange: Arrange, *, unconstrained: bool
) -> Result:
    """`prior` where the model fails after its last latent, `likelihood` = −∞ there; with the joint's other terms."""
    structure, leading = triple.structure, num_samples or 1
    placed = place(structure, given, num_samples, unconstrained)
    setter = SetUnconstrained(placed) if unconstrained else Set(placed)
    seen = Latents(structure.latents)
    with seen.enough():
        triple.trace("model", num_samples, seen, setter)
    parts = [structure.per_datum(site_log_prob(site), leading, len(triple)) for site in seen.sites.values()]
    prior = torch.stack(parts).sum(0)
    terms = {"prior": prior, "likelihood": torch.full_like(prior, -torch.inf)}
    if not isinstance(setter, SetUnconstrained):
        return {}, terms
    jacobians = [structure.per_datum(j, leading, len(triple)) for j in setter.log_jacobian.values()]
    return collected(triple, setter.values, num_samples), terms | {"log_jacobian": torch.stack(jacobians).sum(0)}


def densities_by_element(
    triple: Triple, given: Values, num_samples: int | None, arrange: Arrange, *, what: str
) -> Result:
    """Log density of each latent site under one program, kept apart along the event where it factorises.

    Of sites that masks hide in part, the log density of that part comes too, by `HIDDEN` and name; the guide's own
    density is then as masks leave it.
    """
    structure = triple.structure
    if structure.collapsed:
        raise ProgramError(
            f"the discrete sites {list(structure.collapsed)} are summed out of both programs, so the others have no "
            "densities of their own. log_guide and log_joint give those of all latents together."
        )
    if structure.sequential:
        raise ProgramError(
            f"the model branches on {list(structure.sequential)}, so its latents have no densities of their own. "
            "log_joint gives log p(z) of all latents together."
        )
    setter = Set(place(structure, given, num_samples))
    enumerate_discrete = enumeration(structure) if what == "model" else []
    trace = triple.trace(what, num_samples, setter, *enumerate_discrete)
    terms: Values = {}
    for name, latent in structure.latents.items():
        site = trace.nodes[name]
        if len(site["fn"].batch_shape) > 1 + structure.nesting:
            raise ProgramError(
                f"the prior of site '{name}' depends on {list(structure.discrete)}, which are summed out, so it has no "
                "density of its own. log_joint gives log p(z) of all latents together."
            )
        fn, reinterpreted = site["fn"], 0
        while hasattr(fn, "reinterpreted_batch_ndims"):
            reinterpreted, fn = reinterpreted + fn.reinterpreted_batch_ndims, fn.base_dist
        if name in structure.masked:
            seen = seen_log_prob(site) if what == "guide" else site_log_prob(site)
            terms[name] = structure.per_datum(seen, num_samples or 1, len(triple))
            terms[HIDDEN + name] = structure.per_datum(hidden_log_prob(site), num_samples or 1, len(triple))
        elif latent.event and reinterpreted == len(latent.event) and site["mask"] in (None, True):
            terms |= collected(triple, {name: log_prob(fn, site["value"])}, num_samples)
        else:
            terms[name] = structure.per_datum(site_log_prob(site), num_samples or 1, len(triple))
    return {}, terms


def draw_prior(
    triple: Triple,
    given: Values,
    num_samples: int | None,
    arrange: Arrange,
    *,
    noise: Noise,
    also: tuple[Messenger, ...] = (),
) -> Result:
    """Draws of the model's latents before any data are seen; `also` are messengers inside the one that draws."""
    seen = Latents(triple.structure.latents)
    with nullcontext() if also else seen.enough():
        triple.trace("model", num_samples, seen, Draw(noise, arrange), *also)
    return collected(triple, {name: site["value"] for name, site in seen.sites.items()}, num_samples), {}


def unconstrain(triple: Triple, given: Values, num_samples: int | None, arrange: Arrange) -> Result:
    """The unconstrained coordinates u = T⁻¹(z) of given values."""
    seen = Latents(triple.structure.latents)
    with seen.enough():
        setter = Set(place(triple.structure, given, num_samples))
        triple.trace("model", num_samples, seen, setter, *enumeration(triple.structure))
    values = {name: bijection(site["fn"]).inv(site["value"]) for name, site in seen.sites.items()}
    return collected(triple, values, num_samples, unconstrained=True), {}


def place(structure: Structure, given: Values, num_samples: int | None, unconstrained: bool = False) -> Values:
    """Values `[S, B, ...]` in the layout of a run: with a leading sample dim, or of a plain run without one."""
    placed = {}
    for name, latent in structure.latents.items():
        event = latent.unconstrained if unconstrained else latent.event
        if event is None:
            raise ValueError(f"site '{name}' has no unconstrained coordinates: none are known for its support")
        value = structure.place(latent, given[name], event)
        # A plain run has no sample dim, and no dims for plates that the site is not in.
        drop = 1 + structure.nesting - latent.rank
        placed[name] = value if num_samples is not None else value.reshape(value.shape[drop:])
    return placed


def collected(triple: Triple, values: Values, num_samples: int | None, unconstrained: bool = False) -> Values:
    """Latent values of a run back to `[S, B, ...]`."""
    latents = triple.structure.latents
    return {
        name: gathered(triple.structure, latents[name], value, num_samples, unconstrained)
        for name, value in values.items()
    }


def gathered(
    structure: Structure, site: Latent, value: Tensor, num_samples: int | None, unconstrained: bool = False
) -> Tensor:
    """The value of one site in a run back to `[S, B, ...]`."""
    event = (site.unconstrained or ()) if unconstrained else site.event
    batch = value.dim() - len(event)
    full = value.reshape((1,) * (1 + structure.nesting - batch) + value.shape)
    full = full.expand(num_samples or 1, *full.shape[1:])
    return structure.collect(site, full, event)
