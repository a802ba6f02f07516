"""The last rung: the best members found, bent by an invertible map of each datum's own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.families.bending import fit_bend
from elbowroom.inference.families.bent import BentFamily, straightened
from elbowroom.inference.families.family import Family
from elbowroom.inference.families.scoring import evaluate
from elbowroom.inference.gap.rungs import FLOW, Climber, is_better


@dataclass(frozen=True)
class Bent:
    """The best members found, bent, the ELBO that they reached, `[R, B]`, and what they took, `[B]`."""

    family: BentFamily
    elbo: Tensor
    num_evaluations: Tensor


def bend_members(climber: Climber, bases: list[Family], reached: Tensor) -> Bent:
    """Bend the best members so far; each datum has the better of what becomes of one mode and of a mixture.

    Args:
        climber: the data.
        bases: what is bent, the best members so far last.
        reached: the ELBO of the last on the draws common to all, `[R, B]`: where no bend is better beyond noise, they
            are not bent.
    """
    best = BentFamily.straight(bases[-1])
    cost = torch.zeros(len(best), dtype=torch.long)
    for base in bases:
        fitted = fit_bend(climber.everything, climber.numbers, BentFamily.straight(base), FLOW)
        seen_through = straightened(climber.everything, fitted.family.bend)
        elbo = evaluate(seen_through, climber.numbers, base, climber.num_points).elbo
        better = is_better(elbo, reached)
        best, reached = fitted.family.formed_as(bases[-1]).where(better, best), torch.where(better, elbo, reached)
        cost = cost + fitted.num_evaluations + elbo.shape[0] * climber.num_points
    return Bent(best, reached, cost)
