"""What casts doubt on every number that rests on log q, known before anything is sampled.

A caution is a reason and the data that it is about. The numbers are computed all the same: `Target.cautions` puts the
reasons into their flags. What does not use log q (chains, log p(x) by quadrature, the model's own draws) has none.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.programs.masks import seen
from elbowroom.inference.programs.point_masses import carried, is_delta
from elbowroom.inference.programs.remarks import Remark
from elbowroom.inference.programs.requirements import Sites, of_each_datum
from elbowroom.inference.programs.supports import narrower, unwrapped


@dataclass(frozen=True)
class Caution(Remark):
    """A reason to doubt what rests on log q, and the data that it holds for, `[B]` bool.

    `site` is the latent whose other values the guide does not draw: where that is summed out, the reason is gone.
    """

    site: str = ""


def cautions_of(
    drawn: Sites, factors: Sites, latents: Sites, points: tuple[str, ...], data_dim: int | None, num_data: int
) -> list[Caution]:
    """All cautions of a guide, from one run of both programs.

    Args:
        drawn: the guide's latent and auxiliary sites.
        factors: its observed sites that the model does not observe.
        latents: the model's latent sites at the guide's draws.
        points: discrete latents of which the guide draws one value only.
        data_dim: dim of the data plate among batch dims, from the right; None for one datum.
        num_data: B.
    """
    found = [*_factors(factors), *_narrow(drawn, latents), *_single(points), *_loose(drawn, latents, points)]
    cautions = [
        Caution(reason, of_each_datum(marks != 0, event_dim, data_dim, num_data), site)
        for reason, marks, event_dim, site in found
    ]
    return [caution for caution in cautions if bool(caution.data.any())]


_Found = list[tuple[str, Tensor, int, str]]
"""(reason, where it holds, event dims of that tensor, the site that it is about if its sum would mend it)."""


def _factors(factors: Sites) -> _Found:
    """A factor (or an observation) in the guide that the model does not share: no part of a density of z."""
    return [
        (
            f"log q holds the guide's site '{name}' (pyro.factor, or obs= of what the model does not observe), which "
            "is no density of a latent: log w, the ELBO and all that rests on them are off by it. Leave it out: "
            f"poutine.block(guide, hide=['{name}'])",
            site_log_prob(site) != 0,
            0,
            "",
        )
        for name, site in factors.items()
    ]


def _narrow(drawn: Sites, latents: Sites) -> _Found:
    """A site whose support is a proper subset of the model's: part of the posterior is never drawn."""
    found: _Found = []
    for name, site in drawn.items():
        if name not in latents or is_delta(site):
            continue
        value, fn = site["value"], latents[name]["fn"]
        marks = narrower(site["fn"], fn, value)
        event_dim = fn.event_dim if marks.dim() == value.dim() else 0
        if event_dim == fn.event_dim:
            marks = marks & seen(site["fn"], site["mask"])
        q, p = (type(unwrapped(f)).__name__ for f in (site["fn"], fn))
        reason = (
            f"the guide's site '{name}' ({q}) cannot reach the whole support of the model's ({p}): what it never draws "
            "is missing from every weight, log p(x) comes out too low by an amount that no draw shows, and only its "
            "ELBO stands, as a lower bound. Give it the model's support"
        )
        found.append((reason, marks, event_dim, name))
    return found


def _single(points: tuple[str, ...]) -> _Found:
    """Discrete latents of which one value is drawn: the rest of their sum is never seen."""
    return [
        (
            f"the guide's site '{name}' is a point (Delta) of a discrete latent: the weights are those of p(x) at that "
            "value alone, and what it has at the others is missing from log p(x) by an amount that no draw shows. The "
            "ELBO and every estimate by weights stand as lower bounds only, which more samples cannot tighten. Give q "
            "probabilities there, or leave a finite site to the model, where it is summed out",
            torch.ones(()),
            0,
            name,
        )
        for name in points
    ]


def _loose(drawn: Sites, latents: Sites, points: tuple[str, ...]) -> _Found:
    """Auxiliary draws that no latent carries: log q counts a density that the model does not."""
    loose = [name for name, site in drawn.items() if name not in latents and not is_delta(site)]
    moved, helpers = carried(drawn, latents, points)
    if helpers <= moved:
        return []
    return [
        (
            f"the guide draws {helpers} auxiliary numbers (sites {loose}), but only {moved} values of latents follow "
            "from them: log q counts the density of draws that the model knows nothing of, and no weight is right",
            torch.ones(()),
            0,
            "",
        )
    ]
