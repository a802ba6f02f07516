"""Gradients of q's parameters along the paths of its draws alone: z_i = h_i(ε, φ, z_1 … z_(i−1)).

For f(z), whatever else it depends on, the path gradient is Σ_i (∂z_i/∂φ) (df/dz_i), where df/dz_i counts what z_i does
to later draws. The rest of the gradient of log q, that of the density at a fixed z, is left out: its expectation is
zero, and near the posterior it is all that the noise consists of (Roeder, Wu & Duvenaud 2017).
"""

from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.log_prob import site_log_prob
from elbowroom.inference.training.objectives.contract import Setting
from elbowroom.inference.training.objectives.per_datum import Draws
from elbowroom.inference.training.objectives.runs import Programs, by_datum, log_joint, pairs, random_sites


class Leaves(Messenger):
    """Puts a leaf of the graph in the place of each draw: what comes after it is a function of the leaf.

    Attributes:
        drawn: the draws, functions of φ and of earlier leaves.
        leaves: the same values, of nothing.
    """

    def __init__(self, objective: str) -> None:
        super().__init__()
        self.objective = objective
        self.drawn: list[Tensor] = []
        self.leaves: list[Tensor] = []

    def _pyro_post_sample(self, msg: Any) -> None:
        if msg["is_observed"] or site_is_subsample(msg):
            return
        if not msg["fn"].has_rsample:
            raise ValueError(
                f"loss={self.objective!r} follows draws along their paths, and those of site '{msg['name']}' "
                f"({type(msg['fn']).__name__}) carry no gradient: use loss='score-function', or a guide with "
                "reparameterised draws"
            )
        self.drawn.append(msg["value"])
        msg["value"] = msg["value"].detach().requires_grad_()
        self.leaves.append(msg["value"])

    def along(self, f: Tensor) -> Tensor:
        """A number whose gradient in φ is the path gradient of f, a function of the leaves."""
        if not self.leaves:
            return torch.zeros_like(f)
        total = _gradients(f, self.leaves, None)
        for i in range(len(self.leaves) - 1, -1, -1):  # what a draw does to later ones is known when it is reached
            if i and self.drawn[i].requires_grad:
                earlier = _gradients(self.drawn[i], self.leaves[:i], total[i])
                total[:i] = [a + b for a, b in zip(total[:i], earlier, strict=True)]
        return torch.stack([(z * g).sum() for z, g in zip(self.drawn, total, strict=True)]).sum()


def draws_at_leaves(setting: Setting, programs: Programs, objective: str) -> tuple[Draws, Leaves]:
    """Draws of the guide as leaves, and log densities at them: log q has φ's gradient at a fixed z.

    Raises:
        ValueError: naming the site and the objective, where draws carry no gradient.
    """
    if auxiliary := setting.structure.auxiliary:
        raise ValueError(
            f"the guide draws by way of {list(auxiliary)}, so log q of its latents is known along its draws only, and "
            f"loss={objective!r} needs it apart from them: use loss='IWAE' or 'Trace_ELBO', or a guide that draws the "
            "latents themselves"
        )
    leaves, parts = Leaves(objective), []
    for model, guide in pairs(setting, programs, leaves):
        log_p, add = log_joint(setting, model), by_datum(setting, model)
        terms = [add(site_log_prob(site) * site["scale"]) for site in random_sites(guide)]
        parts.append((log_p, sum(terms, torch.zeros_like(log_p))))
    log_p, log_q = (torch.cat(column) for column in zip(*parts, strict=True))
    return Draws(log_p, log_q, log_q, torch.zeros_like(log_q)), leaves


def _gradients(of: Tensor, leaves: list[Tensor], weights: Tensor | None) -> list[Tensor]:
    found = torch.autograd.grad(of, leaves, weights, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]
