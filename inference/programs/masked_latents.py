"""Latent sites that a mask hides: in both programs alike they follow the prior, in one of them they are refused.

But for sites that a model masks as a whole on a bounded interval: see `flat_priors.py`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from elbowroom.inference.programs.flat_priors import is_flat
from elbowroom.inference.programs.intercept import can_draw
from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.masks import seen
from elbowroom.inference.programs.point_masses import is_delta
from elbowroom.inference.programs.requirements import ProgramError, Sites, of_each_datum


def masked_latents(drawn: Sites, latents: Sites, data_dim: int | None) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The latents that are masked, in both programs alike, and those that the model masks as a whole.

    Args:
        drawn: the guide's latent and auxiliary sites.
        latents: the model's latent sites at the guide's draws.
        data_dim: dim of the data plate among batch dims, from the right; None for one datum.

    Returns:
        name -> which elements of the value masks leave in both programs; the sites whose prior is flat.

    Raises:
        ProgramError: if a latent is masked in one of the programs, or in both but not alike.
    """
    masked, flat = {}, []
    for name, site in drawn.items():
        value = site["value"]
        own = seen(site["fn"], site["mask"]).expand(value.shape)
        if name not in latents:
            if not bool(own.all()):
                raise ProgramError(
                    f"the guide's auxiliary site '{name}' is masked: log q lacks the density of draws that latents "
                    "follow from. Draw masked latents directly, or take the mask off in both programs."
                )
            continue
        model = latents[name]
        theirs = seen(model["fn"], model["mask"]).expand(value.shape)
        if is_flat(own, theirs, model["fn"]):
            flat.append(name)
            continue
        if not bool((own == theirs).all()):
            raise ProgramError(_unlike(name, own, theirs, data_dim, model["fn"].event_dim))
        if not bool(own.all()):
            if is_delta(site):
                raise ProgramError(
                    f"latent site '{name}' is masked, and the guide draws it by way of auxiliary sites, whose density "
                    "counts all the same. Draw masked latents directly, or take the mask off in both programs."
                )
            masked[name] = own
    return masked, tuple(flat)


def _unlike(name: str, guide: Tensor, model: Tensor, data_dim: int | None, event_dim: int) -> str:
    def rows(marks: Tensor) -> str:
        if data_dim is None:
            return ""
        axis = marks.dim() - event_dim + data_dim
        hit = marks.movedim(axis, 0).reshape(marks.shape[axis], -1).any(1).nonzero().flatten().tolist()
        return f" for {len(hit)} data (first rows: {hit[:8]})"

    no_prior, no_guide = guide & ~model, model & ~guide
    causes = []
    if bool(no_prior.any()):
        causes.append(
            f"in the model only{rows(no_prior)}: there it has no prior density, so p(x) is an integral over a "
            "constant, which does not exist, or (bounded intervals apart, where all of the site is hidden) is not known"
        )
    if bool(no_guide.any()):
        causes.append(f"in the guide only{rows(no_guide)}: there log q is no density of what the guide draws")
    return (
        f"latent site '{name}' is masked {'; and '.join(causes)}. Mask it in both programs alike (it then follows its "
        "prior, and integrates to one), or in neither. With obs_mask=mask in the model, draw '<name>_unobserved' in "
        "the guide under poutine.mask(mask=~mask). AutoGuides know nothing of masks: block the site from them and draw "
        "it in a guide of your own. A prior that is flat on purpose is ImproperUniform, which hmc and nuts take."
    )


def filled_from_prior(
    guide: Callable[[Mapping[str, Tensor]], Sites],
    drawn: Sites,
    masked: Mapping[str, Tensor],
    latents: Sites,
    data_dim: int | None,
    num_data: int,
) -> Tensor | None:
    """Data for which what masks hide can be drawn from the prior in place of the guide's draw, `[B]`; None: no masks.

    It cannot where the guide's other draws depend on it (they would be draws given something else), nor where the prior
    has no draws. The guide's own draws are then taken, with their own density.

    Args:
        guide: the guide's sites, its latents set to given values.
        drawn: its sites in a run.
        masked: site -> which elements masks leave.
        latents: the model's latent sites at these draws; hidden elements are tried at draws of the prior.
        data_dim: dim of the data plate among batch dims, from the right; None for one datum.
        num_data: B.
    """
    if not masked:
        return None
    fills = torch.ones(num_data, dtype=torch.bool)
    if not all(can_draw(latents[name]["fn"]) for name in masked):
        return ~fills
    values = {name: site["value"] for name, site in drawn.items()}
    other = {name: torch.where(kept, values[name], latents[name]["fn"].sample()) for name, kept in masked.items()}
    before, after = guide(values), guide(values | other)
    for name in drawn:
        moved = site_log_prob(before[name]) != site_log_prob(after[name])
        fills = fills & ~of_each_datum(moved, 0, data_dim, num_data)
    return fills
