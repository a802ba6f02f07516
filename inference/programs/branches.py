"""Discrete latents that take a value at a time (a model may branch on them): every branch is run, densities summed."""

from collections.abc import Callable
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.log_prob import enumerable, innermost, is_point
from elbowroom.inference.programs.structure import ProgramError, Structure

Leaf = Callable[[Messenger], dict[str, Tensor]]
"""A messenger, to be innermost, that takes one branch -> `prior` and `likelihood` there, `[S, B]`."""


def over_branches(structure: Structure, leaf: Leaf) -> dict[str, Tensor]:
    """log p(z) = log Σ_k p(z, k) and log p(x | z), `[S, B]`, where k runs over the values of the sequential sites.

    The model is run once for each combination of values that it meets, as Pyro's sequential enumeration does, so it may
    say `if k:`. All data of a run take the same value: their terms do not touch each other.

    Raises:
        ProgramError: if a branch lacks a latent that the guide draws, or has one that nobody draws.
    """
    paths: list[dict[str, Tensor]] = [{}]
    priors, joints = [], []
    while paths:
        branch = _Branch(structure, paths.pop())
        terms = leaf(branch)
        branch.check_latents()
        paths += branch.others
        priors.append(terms["prior"])
        joints.append(terms["prior"] + terms["likelihood"])
    prior, joint = torch.stack(priors).logsumexp(0), torch.stack(joints).logsumexp(0)
    return {"prior": prior, "likelihood": torch.where(prior == -torch.inf, 0.0, joint - prior)}


class _Branch(Messenger):
    """Sets sequential sites along a path, and notes the other values of those that the path does not know."""

    def __init__(self, structure: Structure, path: dict[str, Tensor]) -> None:
        super().__init__()
        self.structure, self.path = structure, path
        self.others: list[dict[str, Tensor]] = []
        self.seen: set[str] = set()

    def _pyro_sample(self, msg: Any) -> None:
        name = msg["name"]
        if msg["is_observed"] or msg["done"] or site_is_subsample(msg):
            return
        self.seen.add(name)
        if name in self.structure.latents or (name in self.structure.discrete and not self._is_sequential(msg)):
            return
        if not self._is_sequential(msg):
            raise ProgramError(
                f"the model draws site '{name}' in some branches only ({self._where()}), and the guide does not draw "
                "it: draw it in every branch, and in the guide, or mark it with infer={'enumerate': 'sequential'} if "
                "it has finitely many values"
            )
        if name not in self.path:
            first, *rest = self._values(msg["fn"])
            self.others += [self.path | {name: value} for value in rest]
            self.path = self.path | {name: first}
        msg["value"], msg["done"] = self.path[name], True

    def _is_sequential(self, msg: Any) -> bool:
        if msg["name"] in self.structure.discrete:
            return msg["name"] in self.structure.sequential
        return enumerable(msg["fn"]) and (msg["infer"] or {}).get("enumerate") == "sequential"

    def _values(self, fn: Any) -> list[Tensor]:
        """The values of a site in the shape that they have in a plain run; of a point (Delta) the only one."""
        if is_point(fn):
            return [innermost(fn).v]
        values = fn.enumerate_support(expand=False)
        nesting = self.structure.nesting
        batch = fn.batch_shape[-nesting:] if nesting else torch.Size()
        shape = (*batch, *fn.event_shape)
        return [v.reshape(v.shape[v.dim() - fn.event_dim :]).broadcast_to(shape) for v in values]

    def check_latents(self) -> None:
        """Every latent that the guide draws must be met in every branch: else its density there is not defined."""
        if missing := [name for name in self.structure.latents if name not in self.seen]:
            raise ProgramError(
                f"the model does not draw its latent sites {missing} where {self._where()}, but the guide always does. "
                "Draw them in every branch (from the prior where they are not used)"
            )

    def _where(self) -> str:
        return ", ".join(f"{name} = {value.flatten()[0].item():g}" for name, value in self.path.items())
