"""Globals of a model that were fixed (`poutine.condition`, `obs=`) above the data: what all data are conditioned on.

A model p(s) Π_b p(z_b, x_b | s) with s fixed has no log p(x) that is a sum over data, but log p(x_b | s) is one: the
density of s belongs to no datum, and is left out. That is so of a site that comes before all that is in the data plate:
it can depend on no latent of a datum. One that comes later may be a statistic of the data or of their latents, an
observation of all of them at once, and one whose value changes when the data are cut is data itself: both are refused.
"""

from collections.abc import Mapping
from typing import Any

import torch
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.masks import is_deterministic
from elbowroom.inference.programs.requirements import ProgramError


def fixed_globals(trace: Any, plate: str | None) -> dict[str, Tensor]:
    """The model's observed sites above the data plate, and their values; a `pyro.factor` there is no value."""
    fixed: dict[str, Tensor] = {}
    if plate is None:
        return fixed
    for name, site in trace.nodes.items():
        if site["type"] != "sample" or site_is_subsample(site) or is_deterministic(site):
            continue
        if any(frame.name == plate for frame in site["cond_indep_stack"]):
            return fixed
        if site["is_observed"] and type(site["fn"]).__name__ != "Unit":
            fixed[name] = torch.as_tensor(site["value"])
    return {}  # nothing is in the plate: that is what is to be said


def check_fixed(given: Mapping[str, Tensor], cut: Mapping[str, Tensor] | None, num_data: int, plate: str) -> None:
    """Values of all data are no globals: they change when the data are cut, or have a row for each.

    Args:
        given: the globals of programs on all data.
        cut: those on two copies of the first datum; None for programs that cannot be cut.
        num_data: B.
        plate: the name of the data plate.

    Raises:
        ProgramError: naming the site.
    """
    for name, value in given.items():
        if cut is None:
            moved = num_data > 1 and num_data in value.shape
        else:
            moved = name not in cut or cut[name].shape != value.shape or not bool((cut[name] == value).all())
        if moved:
            how = "has a row for each datum" if cut is None else "changes when the data are cut"
            raise ProgramError(
                f"observed site '{name}' (shape {tuple(value.shape)}) is outside the data plate '{plate}', and "
                f"its value {how}: it is data, not a global that was fixed. Move it inside the plate, or use "
                "plate=None to treat the whole program as one datum. If it is a fixed value all the same, hide it: "
                f"poutine.block(model, hide=['{name}'])."
            )
