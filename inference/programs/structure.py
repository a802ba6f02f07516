"""What a pair of programs looks like: its sites, plates and shapes, read off one plain run of each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from pyro.distributions import ImproperUniform
from torch import Tensor

from elbowroom.inference.programs.cautions import Caution, cautions_of
from elbowroom.inference.programs.fixed_globals import fixed_globals
from elbowroom.inference.programs.flat_priors import flat_priors
from elbowroom.inference.programs.global_state import quiet_globals
from elbowroom.inference.programs.handlers import SCALE
from elbowroom.inference.programs.latent import Latent, latent_of
from elbowroom.inference.programs.log_prob import enumerable, innermost
from elbowroom.inference.programs.masked_latents import filled_from_prior, masked_latents
from elbowroom.inference.programs.plain_runs import Program, latent_sites, run_both, sites_of
from elbowroom.inference.programs.point_masses import check_point_masses, shared_points
from elbowroom.inference.programs.remarks import Remark
from elbowroom.inference.programs.requirements import (
    ProgramError,
    Sites,
    check_batch,
    check_mask,
    check_observed,
    check_partners,
    check_plates,
    check_vectorized,
    unnormalised_in,
)
from elbowroom.inference.programs.subsampling import check_own_rows

MOST_BRANCHES = 64
"""Branches that are run at most; sites with more values together are enumerated in parallel, whatever they ask for."""


@dataclass(frozen=True)
class Structure:
    """Sites, plates and shapes of a (model, guide) pair on given data."""

    num_data: int
    data_dim: int | None  # dim of the data plate, counted from the right among batch dims
    nesting: int  # number of batch dims that plates use
    latents: dict[str, Latent]
    discrete: tuple[str, ...]  # finite discrete latents that the guide leaves to be summed out
    observed: tuple[str, ...]
    auxiliary: tuple[str, ...]  # guide sites that are not model latents (AutoGuides draw in such spaces)
    pinned: dict[str, Tensor] = field(default_factory=dict)  # data plate of a minibatch -> indices drawn once
    collapsed: tuple[str, ...] = ()  # those of the discrete ones that the guide draws: summed out of both programs
    marked: tuple[str, ...] = ()  # finite latents that the guide draws and marks for enumeration: for training
    sequential: tuple[str, ...] = ()  # discrete ones that take a value at a time: programs may branch on them
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)  # param statement -> shape of its value
    whole: tuple[str, ...] = ()  # subsampling plates that are given all their rows
    given: dict[str, Tensor] = field(
        default_factory=dict
    )  # fixed globals of the model: all data are conditioned on them
    scaled: dict[str, str] = field(default_factory=dict)  # a program's site, in words -> its scale that is undone
    sizes: dict[str, int] = field(default_factory=dict)  # plates without a size of their own -> their rows
    masked: tuple[str, ...] = ()  # latents that masks hide somewhere, in both programs alike: they follow the prior
    fills: Tensor | None = None  # data where what is hidden is drawn from the prior, `[B]`; elsewhere by the guide
    cautions: tuple[Caution, ...] = ()  # what casts doubt on all that rests on log q
    follow: tuple[str, ...] = ()  # sites that are one point in both programs: functions of the latents, not latents
    flat: tuple[str, ...] = ()  # latents that the model masks as a whole: density one on a bounded interval
    improper: tuple[str, ...] = ()  # latents whose prior is not normalised: there is no p(x)
    unnormalised: tuple[Remark, ...] = ()  # sites whose density is not normalised: values between a support's, no prior

    @property
    def separate(self) -> bool:
        """Whether each of several data has a program of its own: a sequential data plate."""
        return self.data_dim is None and self.num_data > 1

    def at(self, index: Tensor) -> "Structure":
        """The same with some of the data, by their index `[R]`."""
        cautions = tuple(caution.at(index) for caution in self.cautions)
        unnormalised = tuple(remark.at(index) for remark in self.unnormalised)
        fills = None if self.fills is None else self.fills[index.cpu()]
        return replace(self, num_data=len(index), cautions=cautions, fills=fills, unnormalised=unnormalised)

    def summing(self, sites: tuple[str, ...], at_once: bool) -> "Structure":
        """The same with discrete sites that the guide draws summed out of both programs, all values at once or each by
        itself.

        A mask on them hides nothing then, for each side sums its own normalised probabilities; and a guide that cannot
        reach all of their values misses none in the model's sum.
        """
        masked = tuple(name for name in self.masked if name not in sites)
        return replace(
            self,
            latents={name: latent for name, latent in self.latents.items() if name not in sites},
            discrete=(*self.discrete, *sites),
            collapsed=sites,
            sequential=self.sequential if at_once else (*self.sequential, *sites),
            masked=masked,
            fills=self.fills if masked else None,
            cautions=tuple(c for c in self.cautions if c.site not in sites),
        )

    def observes(self, name: str, site: Any) -> bool:
        """Whether a guide's site is one of those that the model observes or fixes: what runs the model draws none."""
        return bool(site["is_observed"]) and (name in self.observed or name in self.given)

    def place(self, latent: Latent, value: Tensor, event: tuple[int, ...]) -> Tensor:
        """`[S, B, *inner, *event]` to the program's layout `[S, *batch, *event]`."""
        num_samples, num_data = value.shape[:2]
        if self.data_dim is None:
            return value.reshape(num_samples, *latent.inner, *event)
        full = value.reshape(num_samples, num_data, *latent.inner, *event)
        return full.movedim(1, 1 + self.nesting + self.data_dim)

    def collect(self, latent: Latent, value: Tensor, event: tuple[int, ...]) -> Tensor:
        """The program's layout `[S, *batch, *event]` back to `[S, B, *inner, *event]`, absent plates dropped."""
        if self.data_dim is None:
            full = value.unsqueeze(1)
        else:
            full = value.movedim(1 + self.nesting + self.data_dim, 1)
        return full.reshape(*full.shape[:2], *latent.plates, *event)

    def per_datum(self, log_prob: Tensor, num_samples: int, num_data: int) -> Tensor:
        """Sum a site's log density over every batch dim but samples and data: `[S, B]`."""
        lead = 1 + self.nesting - log_prob.dim()
        full = log_prob.reshape((1,) * lead + log_prob.shape)
        if self.data_dim is None:
            terms = full.flatten(1).sum(1, keepdim=True) if full.dim() > 1 else full.unsqueeze(-1)
        else:
            terms = full.movedim(1 + self.nesting + self.data_dim, 1).flatten(2).sum(2) if self.nesting > 1 else full
        return terms.expand(num_samples, num_data)


def read_structure(
    model: Program,
    guide: Program,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    plate: str | None,
    pinned: Mapping[str, Tensor] | None = None,
) -> Structure:
    """Run each program once, without a sample dimension, and read off its structure.

    Raises:
        ProgramError: naming the site, its shape and its plates, when the pair is not a triple of per-datum programs.
    """
    with quiet_globals(args):
        runs = run_both(model, guide, args, kwargs, plate, pinned or {})
        again = partial(latent_sites, "guide", guide, args, kwargs, runs)
        drawn, latents = sites_of(runs.guide, observed=False), sites_of(runs.model, observed=False)
        follow = shared_points(
            drawn, latents, again, lambda values: latent_sites("model", model, args, kwargs, runs, values=values)
        )
        drawn, latents = ({n: s for n, s in found.items() if n not in follow} for found in (drawn, latents))
        given = fixed_globals(runs.model, plate)
        observed = {n: s for n, s in sites_of(runs.model, observed=True).items() if n not in given}
        # A guide that runs the model meets what the model observes; that is no part of q.
        factors = {n: s for n, s in sites_of(runs.guide, observed=True).items() if n not in {*observed, *given}}
        discrete = tuple(n for n, s in latents.items() if n not in drawn and enumerable(s["fn"]))
        sites = [*drawn.items(), *factors.items(), *latents.items(), *observed.items()]
        check_vectorized(sites, plate)
        check_own_rows(sites, plate)
        check_partners(latents, drawn, discrete, observed)
        points = check_point_masses(drawn, latents, again)
        check_plates([*drawn.items(), *factors.items()], [*latents.items(), *observed.items()], plate)
        fixed = [runs.model.nodes[name] for name in given]
        num_data, data_dim, nesting = _plates([*(site for _, site in sites), *fixed], plate)
        for name, site in sites:
            check_batch(name, site, plate)
            check_mask(name, site)
        for name, site in observed.items():
            check_observed(name, site, data_dim)
        masked, flat = masked_latents(drawn, latents, data_dim)
        fills = filled_from_prior(lambda values: again(values=values), drawn, masked, latents, data_dim, num_data)
        cautions = cautions_of(drawn, factors, latents, points, data_dim, num_data)
        unnormalised = (*unnormalised_in(observed, data_dim, num_data), *flat_priors(latents, flat, num_data))
    return Structure(
        num_data=num_data,
        data_dim=data_dim,
        nesting=nesting,
        latents={n: latent_of(n, s, drawn[n], data_dim, nesting) for n, s in latents.items() if n in drawn},
        discrete=discrete,
        observed=tuple(observed),
        given=given,
        auxiliary=tuple(n for n in drawn if n not in latents),
        pinned=runs.pinned,
        marked=_marked(drawn, latents),
        sequential=_sequential({n: latents[n] for n in discrete}, data_dim),
        parameters=_parameters(runs.guide) | _parameters(runs.model),
        whole=tuple(runs.whole),
        scaled=_undone_scales("guide", runs.guide) | _undone_scales("model", runs.model),
        sizes=runs.sizes,
        masked=tuple(masked),
        fills=fills,
        cautions=tuple(cautions),
        follow=follow,
        flat=flat,
        improper=tuple(n for n, s in latents.items() if isinstance(innermost(s["fn"]), ImproperUniform)),
        unnormalised=unnormalised,
    )


def _marked(drawn: Sites, latents: Sites) -> tuple[str, ...]:
    marked = [name for name, site in drawn.items() if (site["infer"] or {}).get("enumerate")]
    return tuple(name for name in marked if name in latents and enumerable(drawn[name]["fn"]))


def _plates(sites: list[Any], plate: str | None) -> tuple[int, int | None, int]:
    frames = [f for site in sites for f in site["cond_indep_stack"] if f.vectorized]
    # Batch dims may be used without a plate when there is one datum; they count as inner dims then.
    bare = [len(s["fn"].batch_shape) for s in sites] if plate is None else []
    nesting = max([-f.dim for f in frames] + bare, default=0)
    if plate is None:
        return 1, None, nesting
    sizes = {(f.size, f.dim) for f in frames if f.name == plate}
    if len(sizes) > 1:
        sizes_text = ", ".join(f"size {s} at dim {d}" for s, d in sorted(sizes))
        raise ProgramError(
            f"the plate '{plate}' is not the same everywhere: {sizes_text}. Give it one size and one dim."
        )
    size, dim = sizes.pop()
    if size < 1:
        raise ProgramError(f"the plate '{plate}' has no size or no data; give pyro.plate('{plate}', len(x)) data")
    return size, dim, nesting


def _sequential(discrete: Sites, data_dim: int | None) -> tuple[str, ...]:
    """The sites that ask for sequential enumeration, if they stand in no plate besides the data's and are few."""

    def single(site: Any) -> bool:
        batch = site["fn"].batch_shape
        return all(n == 1 or i - len(batch) == data_dim for i, n in enumerate(batch))

    asked = {n: s for n, s in discrete.items() if s["infer"].get("enumerate") == "sequential" and single(s)}
    branches = math.prod(len(site["fn"].enumerate_support(expand=False)) for site in asked.values())
    return tuple(asked) if branches <= MOST_BRANCHES else ()


def _undone_scales(what: str, trace: Any) -> dict[str, str]:
    """The scales that a program gives to its sites by `poutine.scale`, in words: plates' own are left out."""
    scales = {}
    for name, site in trace.nodes.items():
        scale = (site["infer"] or {}).get(SCALE) if site["type"] == "sample" else None
        if scale is None:
            continue
        for frame in site["cond_indep_stack"]:
            scale = scale * (frame.size / frame.full_size if frame.full_size else 1.0)
        values = torch.as_tensor(scale, dtype=torch.float64)
        if bool(((values - 1.0).abs() > 1e-6).any()):
            low, high = values.min().item(), values.max().item()
            scales[f"{what}'s '{name}'"] = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return scales


def _parameters(trace: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of a program's parameters."""
    return {
        name: tuple(site["value"].shape)
        for name, site in trace.nodes.items()
        if site["type"] == "param" and isinstance(site["value"], Tensor)
    }
