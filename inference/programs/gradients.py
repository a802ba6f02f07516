"""Whether log p(x, z) can be differentiated in the latents: a simulator outside PyTorch, a `.detach()`, cannot."""

import torch

from elbowroom.inference.programs import densities
from elbowroom.inference.programs.densities import Layouts
from elbowroom.inference.programs.refusals import NUMERICAL, strict
from elbowroom.inference.programs.triple import Triple


def why_no_gradient(triple: Triple, layouts: Layouts) -> str:
    """Why the joint has no gradient in unconstrained coordinates; empty if it has one, or a latent has none of those.

    Tried once, at one draw of the guide for the first datum. A numerical error there is the point's fault.
    """
    if any(latent.unconstrained is None for latent in triple.structure.latents.values()):
        return ""
    one = triple.select([0]) if triple.sliceable else triple
    with torch.no_grad():
        z, _ = densities.propose(one, layouts, 1)
        u = densities.unconstrain(one, layouts["model"], z)
    leaves = {name: value.detach().requires_grad_(True) for name, value in u.items()}
    if not leaves:
        return ""
    try:
        with strict(), torch.enable_grad():
            value, _, _ = densities.log_joint_unconstrained(one, layouts["model"], leaves)
            torch.autograd.grad(value.sum(), list(leaves.values()), allow_unused=True)
    except NUMERICAL:
        return ""
    except RuntimeError as error:
        said = str(error).splitlines()[0].split(". ")[0] if str(error) else type(error).__name__
        return f"log p(x, z) cannot be differentiated in the latents ({said})"
    return ""
