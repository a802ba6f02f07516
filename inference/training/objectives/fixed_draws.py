"""Draws of the guide as constants, and log densities at them: for gradients of log q at a fixed z."""

from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.log_prob import is_point, site_log_prob
from elbowroom.inference.programs.masks import unmasked
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.per_datum import Draws
from elbowroom.inference.training.objectives.runs import Programs, by_datum, log_joint, pairs, random_sites


class Fixed(Messenger):
    """Cuts each draw off the graph. Points (Delta) are no draws: what they are functions of stays."""

    def _pyro_post_sample(self, msg: Any) -> None:
        if not (msg["is_observed"] or site_is_subsample(msg) or is_point(msg["fn"])):
            msg["value"] = msg["value"].detach()


def fixed_draws(setting: Setting, programs: Programs) -> Draws:
    """Draws, whatever they are of; `score` is the log density of all of them, `entropy` that of points.

    A mask hides nothing of the score: the draw behind it was made.
    """
    parts = []
    for model, guide in pairs(setting, programs, Fixed()):
        log_p, add = log_joint(setting, model), by_datum(setting, model)
        nothing, sites = torch.zeros_like(log_p), random_sites(guide)
        terms = [add(site_log_prob(site) * site["scale"]) for site in sites]
        points = [add(site_log_prob(s) * s["scale"]) for s in sites if is_point(s["fn"]) or s["is_observed"]]
        score = [add(unmasked_log_prob(site)) for site in sites if not (is_point(site["fn"]) or site["is_observed"])]
        parts.append((log_p, *(sum(column, nothing) for column in (terms, points, score))))
    return Draws(*(torch.cat(column) for column in zip(*parts, strict=True)))


def unmasked_log_prob(site: Any) -> Tensor:
    """The log density by which a site was drawn, whatever masks are around it and inside it."""
    return site_log_prob({**site, "fn": unmasked(site["fn"]), "mask": None})
