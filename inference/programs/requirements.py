"""What a pair of programs must be like to be evaluated datum by datum, checked on one trace of each."""

from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import MaskedDistribution
from torch import Tensor
from torch.distributions import Independent

from elbowroom.inference.programs.log_prob import beyond_total, innermost, support_of
from elbowroom.inference.programs.private_pyro import mask_of
from elbowroom.inference.programs.remarks import Remark
from elbowroom.inference.programs.unnormalised import (
    by_formula,
    grey_values,
    is_answered,
    is_between,
    is_read_rounded,
    is_real,
    sentence,
)

_MEND = (
    "Remove or mend these data, mask them with poutine.mask or .mask(...) on the distribution, or choose a likelihood "
    "whose support holds them."
)

Sites = dict[str, Any]
"""Name -> Pyro's record of a sample site."""


class ProgramError(ValueError):
    """A model or guide that cannot be evaluated datum by datum; the message says which site and what to do."""


class SequentialPlate(ProgramError):
    """The data are in a sequential plate, and cannot be evaluated datum by datum."""


def check_partners(latents: Sites, drawn: Sites, discrete: tuple[str, ...], observed: Sites) -> None:
    """Every latent of the model must be drawn by the guide, or be finite; something must be observed."""
    missing = [n for n in latents if n not in drawn and n not in discrete]
    surplus = [n for n, s in drawn.items() if n not in latents and not s["infer"].get("is_auxiliary")]
    if missing or surplus:
        problems = [
            f"the model's latent site '{n}' is not drawn by the guide"
            + " (of obs_mask=mask: draw it under poutine.mask(mask=~mask))" * n.endswith("_unobserved")
            for n in missing
        ]
        problems += [f"the guide's site '{n}' is not a latent site of the model" for n in surplus]
        raise ProgramError(
            "guide and model have different sites: "
            + "; ".join(problems)
            + f".\n  model draws {sorted(latents)}, guide draws {sorted(drawn)}. Give both the same names "
            "(finite discrete latents may be left to the model: they are summed out; helper draws of a guide need "
            "infer={'is_auxiliary': True}; a site of the guide that the model has fixed is left out by "
            "poutine.block(guide, hide=[...]))."
        )
    if not observed:
        raise ProgramError("the model observes nothing (no sample site with obs=...), so there is no p(x) to ask for")


def check_vectorized(sites: list[tuple[str, Any]], plate: str | None) -> None:
    """The data plate must be a `with` plate; sites in other sequential plates have names of their own, and are run."""
    for name, site in sites:
        for frame in site["cond_indep_stack"]:
            if not frame.vectorized and frame.name == plate:
                raise SequentialPlate(
                    f"site '{name}' is in the sequential plate '{frame.name}' (for i in pyro.plate(...)). Write it as "
                    f"`with pyro.plate('{frame.name}', size):` so that all data are evaluated at once, or use "
                    "plate=None to treat the whole program as one datum."
                )


def check_plates(guide: list[tuple[str, Any]], model: list[tuple[str, Any]], plate: str | None) -> None:
    """The data plate must exist, and every site of both programs must be in it."""
    if plate is None:
        return
    sites = [*guide, *model]
    plates = {f for _, site in sites for f in _frames(site)}
    if plate not in plates:
        plates_text = f"its plates are {sorted(plates)}" if plates else "it has no plates"
        raise ProgramError(
            f"no site is in a plate named '{plate}'; {plates_text}. Put the data in "
            f"`with pyro.plate('{plate}', len(x)):`, name your plate with plate=..., or use plate=None to treat the "
            "whole program as one datum."
        )
    for what, own, other in (("guide", guide, model), ("model", model, guide)):
        if twin := _other_name(own, other, plate):
            raise ProgramError(
                f"the plate over data has two names: '{twin}' in the {what}, '{plate}' in the "
                f"{'model' if what == 'guide' else 'guide'}, of one size at one dim. Give it the same name in both "
                "(plate=... says which one is meant)."
            )
    for name, site in sites:
        if plate not in _frames(site):
            raise ProgramError(_outside(name, site, plate))


def _other_name(own: list[tuple[str, Any]], other: list[tuple[str, Any]], plate: str) -> str:
    """The name of the plate that a program has in the place of the other's data plate; empty if there is none."""
    places = {(f[plate].dim, f[plate].size) for _, site in other if plate in (f := _frames(site))}
    frames = [frame for _, site in own for frame in site["cond_indep_stack"]]
    if any(frame.name == plate for frame in frames):
        return ""
    return next((frame.name for frame in frames if (frame.dim, frame.size) in places), "")


def _outside(name: str, site: Any, plate: str) -> str:
    event = tuple(site["fn"].event_shape)
    if site["infer"].get("is_auxiliary") and not site["is_observed"]:  # a pyro.factor is auxiliary, too
        return (
            f"the guide draws its latents from '{name}' (event shape {event}), which is outside the data plate "
            f"'{plate}': log q does not split by datum. Use a guide that factorises over data (AutoNormal, or an "
            "amortized guide), or plate=None to treat the whole program as one datum."
        )
    kind = "observed" if site["is_observed"] else "latent"
    fixed = (
        " If its value is fixed (poutine.condition, obs=), let it come before the data plate, or hide it: "
        f"poutine.block(model, hide=['{name}']); log p(x) is then given that value."
        if site["is_observed"]
        else ""
    )
    return (
        f"{kind} site '{name}' (batch shape {tuple(site['fn'].batch_shape)}, event shape {event}) is outside the data "
        f"plate '{plate}'; its plates are {sorted(_frames(site)) or 'none'}. It would be shared by all data, so "
        "log p(x) would not be a sum over data. Move it inside the plate, or use plate=None to treat the whole "
        f"program as one datum.{fixed}"
    )


def check_batch(name: str, site: Any, plate: str | None) -> None:
    """Every batch dim must belong to a plate; a forgotten `.to_event` is the classic way to fail."""
    if plate is None:
        return
    batch, covered = site["fn"].batch_shape, {f.dim for f in site["cond_indep_stack"]}
    bare = [dim for dim in range(-len(batch), 0) if batch[dim] > 1 and dim not in covered]
    if bare:
        raise ProgramError(
            f"site '{name}' has batch shape {tuple(batch)}, but no plate of its own covers dim {bare[0]} (size "
            f"{batch[bare[0]]}); its plates are {[(f.name, f.dim, f.size) for f in site['cond_indep_stack']]}. "
            f"Call .to_event({len(bare)}) on its distribution if that dim is part of one datum."
        )


def check_mask(name: str, site: Any) -> None:
    """A mask must not be larger than the site: each of its terms would count several times."""
    fn, value, mask = site["fn"], site["value"], site["mask"]
    if not isinstance(mask, Tensor):
        return
    batch = torch.broadcast_shapes(fn.batch_shape, value.shape[: value.dim() - fn.event_dim])
    try:
        fits = torch.broadcast_shapes(mask.shape, batch) == batch
    except RuntimeError:
        fits = False
    if not fits:
        raise ProgramError(
            f"the mask of site '{name}' has shape {tuple(mask.shape)}, which does not broadcast to the site's batch "
            f"shape {tuple(batch)}. Give it a dim for each plate that it differs in, the data plate's at the place of "
            "its dim, and of size 1 elsewhere."
        )


def check_observed(name: str, site: Any, data_dim: int | None) -> None:
    """Observed values must be finite, and in the support (or as `unnormalised.py` has it), but for masked ones."""
    value, fn = site["value"], site["fn"]
    if _is_unseen(site):
        return
    kind = type(innermost(fn)).__name__
    outside = f"values outside the support {support_of(fn)} of {kind}", _what_else(fn, value, kind)
    for bad, (what, remedy) in (
        (_anywhere(fn, value, lambda base: ~_finite(base, value)), ("NaN or infinite values", _MEND)),
        (
            _anywhere(fn, value, lambda base: ~_inside(base, value) & ~is_answered(base, value)),
            grey_values(fn, value) or outside,
        ),
        (site["log_prob"].isposinf(), (f"values at which the density of {kind} is infinite", _MEND)),
    ):
        bad = _unhidden(bad, site)
        if bool(bad.any()):
            split = data_dim is not None and bad.dim() >= -data_dim
            rows = sorted({int(i) for i in bad.nonzero()[:, data_dim]}) if split else [0]
            raise ProgramError(
                f"observed site '{name}' has {what} in {len(rows)} of its data (first rows: {rows[:8]}). {remedy}"
            )


def unnormalised_in(observed: Sites, data_dim: int | None, num_data: int) -> tuple[Remark, ...]:
    """For each observed site with values at which its density is not normalised, what that means, and which data."""
    remarks = []
    for name, site in observed.items():
        if not _is_unseen(site):
            data = of_each_datum(_unhidden(_cannot_be_drawn(site["fn"], site["value"]), site), 0, data_dim, num_data)
            if bool(data.any()):
                remarks.append(Remark(sentence(name, site["fn"]), data))
    return tuple(remarks)


def _cannot_be_drawn(fn: Any, value: Tensor) -> Tensor:
    return _anywhere(fn, value, lambda base: ~_inside(base, value) | is_real(base, value))


def _what_else(fn: Any, value: Tensor, kind: str) -> str:
    """What can be done about values outside the support, and what more if they lie between those inside."""
    if is_read_rounded(fn):
        return f"{_MEND} {kind} rounds what it is given: soft labels would count as hard ones. Give the labels meant."
    if not bool(_anywhere(fn, value, lambda base: is_between(base, value) & ~_inside(base, value)).any()):
        return _MEND
    return f"{_MEND} {by_formula(kind)}"


def _is_unseen(site: Any) -> bool:
    return not isinstance(site["value"], Tensor) or site["mask"] is False or type(site["fn"]).__name__ == "Unit"


def _unhidden(marks: Tensor, site: Any) -> Tensor:
    """Marks of a site, `[*batch]`, without those that the mask around it hides."""
    marks = marks.expand(torch.broadcast_shapes(site["fn"].batch_shape, marks.shape))
    return marks & site["mask"] if isinstance(site["mask"], Tensor) else marks


def of_each_datum(marks: Tensor, event_dim: int, data_dim: int | None, num_data: int) -> Tensor:
    """Whether something is marked anywhere in a datum, `[B]` on the CPU.

    Args:
        marks: boolean, with the batch dims of a plain run (or fewer) and these event dims.
        event_dim: number of event dims.
        data_dim: dim of the data plate among batch dims, from the right; None for one datum.
        num_data: B.
    """
    marks = marks.cpu()
    marks = marks.flatten(marks.dim() - event_dim).any(-1) if event_dim else marks
    if data_dim is None or marks.dim() < -data_dim:
        return marks.any().expand(num_data)
    return marks.movedim(data_dim, 0).reshape(marks.shape[data_dim], -1).any(1).expand(num_data)


def _anywhere(fn: Any, value: Tensor, bad: Callable[[Any], Tensor]) -> Tensor:
    """Whether a datum's value is bad somewhere along its event, where no mask inside `fn` hides it."""
    if isinstance(fn, Independent):
        marked = _anywhere(fn.base_dist, value, bad)
        return marked.flatten(-fn.reinterpreted_batch_ndims).any(-1) if fn.reinterpreted_batch_ndims else marked
    if isinstance(fn, MaskedDistribution):
        return _anywhere(fn.base_dist, value, bad) & mask_of(fn, value.device)
    return bad(fn)


def _finite(fn: Any, value: Tensor) -> Tensor:
    finite = value.isfinite()
    return finite.flatten(-fn.event_dim).all(-1) if fn.event_dim else finite


def _inside(fn: Any, value: Tensor) -> Tensor:
    support = support_of(fn)
    unknown = torch.ones(value.shape[: value.dim() - fn.event_dim], dtype=torch.bool, device=value.device)
    if support is None:
        return unknown
    try:
        return support.check(value) | beyond_total(fn, value)
    except NotImplementedError:  # a support that cannot be checked
        return unknown


def _frames(site: Any) -> dict[str, Any]:
    return {f.name: f for f in site["cond_indep_stack"]}
