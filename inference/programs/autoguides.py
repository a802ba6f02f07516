"""Guides that draw in an auxiliary space (Pyro's AutoGuides): from a model's latents back to what the guide drew."""

from typing import Any

import torch
from pyro.infer.autoguide import AutoContinuous, AutoGuideList, AutoNormal
from torch import Tensor

from elbowroom.inference.programs.log_prob import bijection
from elbowroom.inference.programs.structure import Structure


def auxiliary_values(guide: Any, structure: Structure, placed: dict[str, Tensor]) -> dict[str, Tensor]:
    """The values to set in a guide so that it gives the latents `placed` (in the program's layout).

    Latents that follow from auxiliary sites are left out: the guide computes them anew, equal up to rounding, where a
    value set from outside would miss the guide's Delta by a last digit.

    Raises:
        NotImplementedError: for a guide whose auxiliary draws cannot be recovered from the latents.
    """
    values = dict(placed)
    for part in list(guide) if isinstance(guide, AutoGuideList) else [guide]:
        for kind, recover in _RECOVER.items():
            if isinstance(part, kind):
                values |= recover(part, structure, placed)
                for name, _ in part.prototype_trace.iter_stochastic_nodes():
                    values.pop(name)
    missing = [name for name in structure.auxiliary if name not in values]
    if missing:
        raise NotImplementedError(
            f"the guide draws auxiliary sites {missing}, which cannot be recovered from the latents, so log q(z|x) at "
            f"a given z is unknown. Known guides: {', '.join(kind.__name__ for kind in _RECOVER)}; draws of the guide "
            "itself (propose, importance) work with any guide."
        )
    return values


def _auto_normal(guide: Any, structure: Structure, placed: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        f"{name}_unconstrained": bijection(site["fn"]).inv(placed[name])
        for name, site in guide.prototype_trace.iter_stochastic_nodes()
    }


def _auto_continuous(guide: Any, structure: Structure, placed: dict[str, Tensor]) -> dict[str, Tensor]:
    parts = []
    for name, site in guide.prototype_trace.iter_stochastic_nodes():
        unconstrained = bijection(site["fn"]).inv(placed[name])
        own = len(guide._unconstrained_shapes[name])  # dims of this site's value, its plates included
        extra = unconstrained.dim() - own  # dims of samples (and of absent plates) in front
        lead = unconstrained.shape[: max(extra, 0)]
        parts.append(unconstrained.reshape(*lead[:1], *(1,) * structure.nesting * bool(lead), -1))
    latent = torch.cat(parts, -1)
    return {f"_{guide._pyro_name}_latent": latent}


_RECOVER = {AutoNormal: _auto_normal, AutoContinuous: _auto_continuous}
