"""A guide's distribution of each datum as a Gaussian, read off its draws and the gradient of its density."""

from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates
from elbowroom.inference.families.family import Family
from elbowroom.inference.mcmc.metric import MAX_DENSE

_NARROWEST = 1e-12
_LEAST_DRAWS = 64


@dataclass(frozen=True)
class Start:
    """What a guide is, datum by datum.

    Attributes:
        family: the Gaussian that the guide is, or one with the moments of its draws.
        is_gaussian: whether the guide is that Gaussian in unconstrained coordinates, `[B]`.
        is_diagonal: whether it is one of independent coordinates, `[B]`.
        is_finite: whether its draws and densities are finite, `[B]`.
    """

    family: Family
    is_gaussian: Tensor
    is_diagonal: Tensor
    is_finite: Tensor


def read_guide(coordinates: Coordinates, seed: int) -> Start:
    """The guide's distribution from draws u and scores g = ∇ log q(u), all data at once.

    A Gaussian's score is linear, g = Λ (m − u), so a few draws determine m and Λ exactly, and log q at all draws shows
    whether the guide is that Gaussian. Where it is not, the moments of the draws have to do.
    """
    u, log_q, score = _draws(coordinates, max(_LEAST_DRAWS, 2 * coordinates.dim), seed)
    finite = u.isfinite().all(-1).all(0) & log_q.isfinite().all(0)
    shown = torch.where(finite[:, None], u, torch.linspace(-1, 1, len(u), dtype=u.dtype)[:, None, None].to(u))
    loc, sd = shown.mean(0), shown.std(0).clamp_min(_NARROWEST)
    family, never = Family.gaussian(loc, sd), torch.zeros_like(finite)
    if score is None:
        return Start(family, never, never, finite)
    tolerance = max(1e-6, 1e4 * torch.finfo(coordinates.target.dtype).eps) * (1 + log_q.abs().amax(0))
    white, slope = (shown - loc) / sd, score * sd
    diagonal = _independent(white, slope)._moved(loc, sd)
    is_diagonal = finite & _agrees(diagonal, shown, log_q, tolerance)
    if bool((is_diagonal | ~finite).all()) or not 1 < coordinates.dim <= MAX_DENSE:
        return Start(diagonal.where(is_diagonal, family), is_diagonal, is_diagonal, finite)
    full = _correlated(white, slope)._moved(loc, sd)
    is_gaussian = is_diagonal | (finite & _agrees(full, shown, log_q, tolerance))
    return Start(
        diagonal.full().where(is_diagonal, full.where(is_gaussian, family.full())), is_gaussian, is_diagonal, finite
    )


def _draws(coordinates: Coordinates, num_draws: int, seed: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Draws u `[S, B, D]`, log q(u) `[S, B]`, and its gradient, or None where the density is unknown."""
    target = coordinates.target
    with torch.no_grad():
        z, _ = target.propose(num_draws, seed=seed)
        u = coordinates.unconstrain(z)
    try:
        with torch.enable_grad():
            u = u.detach().requires_grad_(True)
            log_q = coordinates.log_guide(u)
            (score,) = torch.autograd.grad(log_q.sum(), u)
    except (NotImplementedError, RuntimeError):  # an unknown density, or one that gradients do not pass
        return u.detach().double(), torch.zeros(u.shape[:2], dtype=torch.float64, device=u.device), None
    return u.detach().double(), log_q.detach().double(), score.double().nan_to_num(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class _Gaussian:
    """Mean and scale in units in which the draws have mean zero and variance one."""

    loc: Tensor
    scale: Tensor

    def _moved(self, loc: Tensor, sd: Tensor) -> Family:
        """The Gaussian in the coordinates of the draws, whose mean and sd are `loc` and `sd` `[B, D]`."""
        scale = sd * self.scale if self.scale.dim() == 2 else sd.unsqueeze(-1) * self.scale
        return Family.gaussian(loc + sd * self.loc, scale)


def _independent(white: Tensor, slope: Tensor) -> _Gaussian:
    """The Gaussian of independent coordinates, from the regression of each coordinate's score on that coordinate."""
    centred = slope - slope.mean(0)
    precision = (-(white * centred).sum(0) / white.square().sum(0)).clamp_min(_NARROWEST)
    return _Gaussian(slope.mean(0) / precision, precision.rsqrt())


def _correlated(white: Tensor, slope: Tensor) -> _Gaussian:
    """The Gaussian with all covariances, from the regression of all scores on all coordinates."""
    x, y = white.transpose(0, 1), (slope - slope.mean(0)).transpose(0, 1)  # [B, S, D]
    gram = x.mT @ x + _NARROWEST * torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    precision = -torch.linalg.solve(gram, x.mT @ y)
    lower, failed = torch.linalg.cholesky_ex((precision + precision.mT) / 2)
    eye = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device).expand_as(lower)
    lower = torch.where((failed > 0)[:, None, None], eye, lower)
    covariance = torch.cholesky_inverse(lower)
    loc = (covariance @ slope.mean(0).unsqueeze(-1)).squeeze(-1)
    factor, _ = torch.linalg.cholesky_ex(covariance)  # one that fails does not agree with log q, and is not used
    return _Gaussian(loc, torch.where(factor.isfinite(), factor, eye))


def _agrees(family: Family, u: Tensor, log_q: Tensor, tolerance: Tensor) -> Tensor:
    """Whether the family's density is log q at all draws, `[B]`."""
    return (family.log_density(u) - log_q).abs().amax(0) <= tolerance
