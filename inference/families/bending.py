"""Each datum's best bend of its member of a family, all data in one batch: stochastic gradient steps."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.quasi_random import quasi_normals
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.families.bend import Bend
from elbowroom.inference.families.bent import BentFamily
from elbowroom.inference.families.expectation import Density

NUM_STEPS, NUM_POINTS = 400, 64
"""Steps of a fit, and draws of each step, shared among the components."""

_RATE = 0.03  # of Adam, at first; it falls to zero by a cosine
_STEEPEST = 1e3  # of a parameter's gradient, nats: a draw where the density falls off a cliff says no more


@dataclass(frozen=True)
class Bending:
    """The members and what they took: evaluations of the gradient for each datum, `[B]`."""

    family: BentFamily
    num_evaluations: Tensor


def fit_bend(density: Density, numbers: RandomNumbers, start: BentFamily, name: str) -> Bending:
    """Climb E_q[log p(x, g(u)) + log |det dg/du| − log q(u)] in the parameters of g.

    The members that are bent stay as they are. Steps are those of Adam (Kingma & Ba 2015), which are elementwise: no
    datum knows of another.

    Args:
        density: log density and gradient of all the data.
        numbers: random numbers of the data.
        start: where to begin.
        name: of this fit, for its random numbers.
    """
    base, coordinates = start.base, (start.bend.centre, start.bend.factor)
    parameters = [getattr(start.bend, name).clone().requires_grad_(True) for name in Bend.parameters()]
    bend, optimiser = Bend(*coordinates, *parameters), torch.optim.Adam(parameters, lr=_RATE)
    num_components, dim = base.num_components, base.dim
    points = max(8, NUM_POINTS // num_components)
    share = base.log_share.exp().T.unsqueeze(0) / points  # [1, K, B]
    for step in range(NUM_STEPS):
        optimiser.param_groups[0]["lr"] = _RATE * (0.5 + 0.5 * math.cos(math.pi * step / NUM_STEPS))
        noise = quasi_normals(numbers, name, points, num_components * dim, 1, step)
        u = base.at(noise.unflatten(-1, (num_components, dim))).transpose(1, 2).flatten(0, 1)  # [S K, B, D]
        with torch.enable_grad():
            v, log_det = bend.forward(u)
            value, slope = density(v.detach())
            slope = torch.where(value.isfinite().unsqueeze(-1), slope, 0.0).nan_to_num(0.0, 0.0, 0.0)
            climbed = ((slope * v).sum(-1) + log_det).unflatten(0, (points, num_components))
            gradients = torch.autograd.grad(-(share * climbed).sum(), parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.nan_to_num(0.0, 0.0, 0.0).clamp(-_STEEPEST, _STEEPEST)
        optimiser.step()
    fitted = Bend(*coordinates, *(value.detach() for value in parameters))
    spent = torch.full((len(base),), NUM_STEPS * points * num_components)
    return Bending(BentFamily(base, fitted), spent)
