"""Reference points of TARP: where q is checked from, chosen datum by datum where the model says that q may be off."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from elbowroom.inference import weights
from elbowroom.inference.evaluation.coordinates import Coordinates, why_no_coordinates
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.evaluation.scalars import side_by_side
from elbowroom.inference.target import Target

NUM_PILOTS = 64
RADIUS = 2.0
"""A reference point is `RADIUS` (1 + √D) of the guide's standard deviations away from the guide's mean.

Much nearer, distances mix both sides of the mean and lose sight of a bias; much farther, they see one direction only
and lose sight of the spread in all others.
"""

_FIRST = 1 << 40  # sample index of the pilot draws: never among the ranked ones


class Reference(NamedTuple):
    """Reference points in standardised unconstrained coordinates v = (u − mean) / sd."""

    mean: Tensor  # [N, D]
    sd: Tensor  # [N, D]
    point: Tensor  # in v, [N, D]

    def distance(self, target: Target, z: dict[str, Tensor]) -> Tensor:
        """Euclidean distance of values `[S, N, ...]` from the points, `[S, N]`; +∞ where a value is not finite."""
        standard = (_flat(target, z) - self.mean) / self.sd
        return (standard - self.point).square().sum(-1).sqrt().nan_to_num(nan=math.inf).to(self.mean)


def reference_points(target: Target, observed: Target | None, seed: int) -> Reference:
    """A reference point for each datum: outside the bulk of the guide, in a direction that depends on x.

    TARP is sufficient only if reference points depend on x (Lemos et al. 2023): with points
    that do not, a guide that equals the prior passes. Any rule that sees x and noise, and neither the true latents nor
    the ranked draws, is valid. This one takes 64 pilot draws of the guide, v = (u − mean) / sd, and looks in the
    direction √n Σ w̄ v + ε with importance weights w̄ ∝ p(x, z) / q(z | x), their effective number n, and
    ε ~ N(0, I): the direction in which the model says that q is biased; for the exact guide, any direction. From there
    distances see that bias fully, and the spread along and across the direction.

    Args:
        target: programs on the simulated data.
        observed: programs on the data that they were simulated around, or None.
        seed: of pilot draws and noise.
    """
    z, log_q = target.propose(NUM_PILOTS, seed=seed, start=_FIRST)
    prior, likelihood = target.log_joint(z)
    extra = torch.zeros_like(prior) if observed is None else observed.log_joint(z)[1]
    u = _flat(target, z).double()  # [S, N, D]
    mean, sd = _moments(u, _normalized(extra))
    standard = (u - mean) / sd
    log_w = (prior + likelihood - log_q + extra).double()
    weight = _normalized(log_w)
    effective = 1 / weight.square().sum(0)  # [N]
    noise = RandomNumbers(target, seed).normal("calibration, reference points", 1, u.shape[-1])[0].to(u)
    pull = (weight.unsqueeze(-1) * standard).sum(0).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    direction = effective.sqrt().unsqueeze(-1) * pull + noise
    unit = direction / direction.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
    return Reference(mean, sd, RADIUS * (1 + math.sqrt(u.shape[-1])) * unit)


def _flat(target: Target, z: dict[str, Tensor]) -> Tensor:
    """Unconstrained coordinates `[S, N, D]`; the values themselves where a latent is discrete."""
    if why_no_coordinates(target, gradients=False):
        return side_by_side(z).double()
    coordinates = Coordinates.of(target, gradients=False)
    return (coordinates.pack(z) if coordinates.real else coordinates.unconstrain(z)).double()


def _normalized(log_w: Tensor) -> Tensor:
    """Normalised weights `[S, N]`, equal ones where they are not numbers."""
    weight = weights.normalized(log_w.double())
    return torch.where(weight.isnan().any(0), 1 / len(log_w), weight)


def _moments(u: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    mean = (weight.unsqueeze(-1) * u).sum(0).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    sd = (weight.unsqueeze(-1) * (u - mean).square()).sum(0).sqrt()
    return mean, torch.where((sd > 0) & sd.isfinite(), sd, 1.0)
