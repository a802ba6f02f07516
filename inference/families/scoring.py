"""The ELBO of a family's member, and how far it is from the best member nearby."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.quasi_random import quasi_normals
from elbowroom.inference.evaluation.random_numbers import RandomNumbers
from elbowroom.inference.families.expectation import FAR, Density, Drawn, draw
from elbowroom.inference.families.family import Family
from elbowroom.inference.mcmc.metric import MAX_DENSE

NUM_SHIFTS = 16
"""Independent randomisations; the spread between them is the error."""

_NOWHERE = FAR / 1e8  # a mean below this holds a draw of zero probability
_FLATTEST = 0.05  # least curvature of the ELBO in the mean, where a family's own is 1


@dataclass(frozen=True)
class Evaluation:
    """A member's ELBO under R independent randomisations, the same for all families.

    Attributes:
        elbo: `[R, B]`, nats.
        slack: estimated nats to the best member nearby, and its standard error, `[B]`; None for a mixture.
    """

    elbo: Tensor
    slack: tuple[Tensor, Tensor] | None

    @property
    def value(self) -> Tensor:
        """The mean, `[B]`, nats."""
        return self.elbo.mean(0)


def evaluate(
    density: Density, numbers: RandomNumbers, family: Family, num_points: int, data: Tensor | None = None
) -> Evaluation:
    """Evaluate with `num_points` draws of each randomisation (shared among components).

    The part of log w that is quadratic in ε has a known mean, so only the rest is estimated: with b = E[r] and
    C = E[r εᵀ] (Stein's identity: the means of gradient and Hessian), log w − b·ε − ½ (εᵀ C ε − tr C) has the mean of
    log w and, where q and the posterior are Gaussian, next to no variance (the product of two sampling errors; none at
    all where q is exact). Each randomisation takes b and C from the others.

    Args:
        density: log density and gradient of the members' data.
        numbers: random numbers of all data.
        family: the members.
        num_points: draws of each randomisation.
        data: which of all data the members are of; by default all.
    """
    points = max(4, num_points // family.num_components)
    replicates = []
    for index in range(NUM_SHIFTS):
        # The first coordinates of all families come from one net: paired draws.
        noise = quasi_normals(numbers, "evaluation", points, family.num_components * family.dim, 1, index)
        noise = noise if data is None else noise[:, data]
        replicates.append(_Moments.of(draw(density, family, noise.unflatten(-1, (family.num_components, family.dim)))))
    moments = _Moments(*(torch.stack(values) for values in zip(*(vars(m).values() for m in replicates), strict=True)))
    elbo = (family.log_share.exp() * moments.without_quadratic_part()).sum(-1)
    elbo = torch.where(elbo < _NOWHERE, -torch.inf, elbo)
    return Evaluation(elbo, moments.slack(family.is_diagonal) if family.num_components == 1 else None)


def held_bytes(dim: int, num_components: int) -> int:
    """Bytes that an evaluation holds for a datum."""
    return 3 * 8 * NUM_SHIFTS * num_components * (dim * dim if dim <= MAX_DENSE else dim)


@dataclass(frozen=True)
class _Moments:
    """Means over the draws of each randomisation, `[R, B, K, …]`: log w, r, ε, and r εᵀ, ε εᵀ (or their diagonals)."""

    log_w: Tensor
    shift: Tensor
    noise: Tensor
    shear: Tensor
    square: Tensor

    @classmethod
    def of(cls, drawn: Drawn) -> "_Moments":
        """The moments of one randomisation's draws, `[B, K, …]`."""
        if drawn.noise.shape[-1] > MAX_DENSE:
            shear, square = drawn.stretch, drawn.noise.square().mean(0)
        else:
            noise = drawn.noise.permute(1, 2, 3, 0)
            shear, square = drawn.shear, noise @ noise.mT / noise.shape[-1]
        return cls(drawn.log_w.mean(0), drawn.shift, drawn.noise.mean(0), shear, square)

    def without_quadratic_part(self) -> Tensor:
        """Mean log w of each randomisation, the noise of its quadratic part taken off, `[R, B, K]`, nats."""
        # b = E[r] and C = E[r εᵀ] of each randomisation, from the others: independent of its own noise.
        others = len(self.log_w) - 1
        slope = (self.shift.sum(0) - self.shift) / others
        bend = (self.shear.sum(0) - self.shear) / others
        # E[b·ε + ½ (εᵀ C ε − tr C)] is 0; its mean over these very draws is noise.
        dense = self.shear.dim() == 5
        excess = self.square - (torch.eye(self.shear.shape[-1]).to(self.shear) if dense else 1.0)
        linear = (slope * self.noise).sum(-1)
        return self.log_w - linear - 0.5 * (bend * excess).flatten(3).sum(-1)

    def slack(self, is_diagonal: bool) -> tuple[Tensor, Tensor]:
        """½ gᵀ H⁻¹ g of the only component, without the bias that noise in g brings; its jackknife error; `[B]`.

        H is the ELBO's curvature at a nearby optimum in coordinates where q is standard normal: I − E[r εᵀ] for the
        mean (Stein's identity), 2 for log sds, 1 for the entries of L below its diagonal.
        """
        shift, shear = self.shift.squeeze(2), self.shear.squeeze(2)
        if shear.dim() == 3:
            return _half_square(torch.cat([shift, shear / 2**0.5], -1))  # too many dims for H: it is taken as I
        # The mean: r in the eigenvectors of H = I − E[r εᵀ], each by the root of its eigenvalue.
        eye = torch.eye(shear.shape[-1]).to(shear)
        curvature = eye - shear.mean(0)
        value, vector = torch.linalg.eigh(((curvature + curvature.mT) / 2).nan_to_num(0.0, 0.0, 0.0))
        parts = [(shift.unsqueeze(-2) @ vector).squeeze(-2) / value.clamp_min(_FLATTEST).sqrt()]
        # The log sds: E[r_i ε_i], of curvature 2; below the diagonal of L: E[r_i ε_j], of curvature 1.
        parts.append(shear.diagonal(dim1=-2, dim2=-1) / 2**0.5)
        if not is_diagonal:
            row, column = torch.tril_indices(shear.shape[-1], shear.shape[-1], -1)
            parts.append(shear[..., row, column])
        return _half_square(torch.cat(parts, -1))


def _half_square(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """½ |E g|² from R independent estimates `[R, B, P]` of g, and its jackknife error, `[B]`."""
    # Σ_{i≠j} g_i·g_j / (R (R − 1)) is unbiased for |E g|², while the square of the mean is not.
    count, total, squares = len(gradient), gradient.sum(0), gradient.square().sum(-1)
    value = (total.square().sum(-1) - squares.sum(0)) / (2 * count * (count - 1))
    # The same without each estimate in turn, and their spread.
    rest = (total - gradient).square().sum(-1) - (squares.sum(0) - squares)
    left_out = rest / (2 * (count - 1) * (count - 2))  # [R, B]
    variance = (left_out - left_out.mean(0)).square().sum(0) * (count - 1) / count
    return value.clamp_min(0.0), variance.sqrt()
