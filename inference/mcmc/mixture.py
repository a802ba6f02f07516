"""A Gaussian mixture for each datum, fitted to points of its posterior: the proposal of independence moves."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from elbowroom.inference.mcmc.how_many import by_modes, nearest
from elbowroom.inference.mcmc.rounding import on_grid

WIDE_SHARE, WIDTH = 0.1, 2.0
"""A tenth of every component is twice as wide, so that the tails of a posterior do not trap a chain."""

_ITERATIONS = 12
_MOST = 6  # components
_LEAST_SHARE = 0.04
_BACKDROP = 0.05  # share of the component behind all others
_PLANE = 2  # coordinates up to which a few components do for every shape
_RESOLUTION = 1e-3  # of a scale, that a dtype must be able to tell
_NOTHING = -1e4  # log share of a component that is not there


@dataclass(frozen=True)
class Mixture:
    """q(u) = Σ_k π_k [0.9 N(u; m_k, Σ_k) + 0.1 N(u; m_k, 4 Σ_k)] for each datum.

    Attributes:
        log_share: log π_k, `[B, K]`.
        mean: m_k, `[B, K, D]`.
        factor: Cholesky factors of Σ_k, `[B, K, D, D]`.
        inverse: their inverses, `[B, K, D, D]`.
    """

    log_share: Tensor
    mean: Tensor
    factor: Tensor
    inverse: Tensor

    @classmethod
    def fit(
        cls,
        points: Tensor,
        num_components: int | None = None,
        iterations: int = _ITERATIONS,
        count_modes: bool | None = None,
    ) -> "Mixture":
        """Fit by iterations of expectation–maximisation to points `[N, B, D]`, each datum by itself.

        Covariances are shrunk towards the one that all components share, and that one towards its diagonal, by (D + 1)
        points' worth each, and kept above a thousandth of the whole variance. Points that lie closer together than
        their dtype can tell are spread to where it can. Unless their number is given, there
        are as many components as the points show modes (`how_many.py`): by default for more than two coordinates.
        """
        num_points, _, dim = points.shape
        count = num_components or max(1, min(_MOST, num_points // (32 * dim)))
        centre = points.mean(0)
        scale = torch.maximum(points.std(0, correction=0), _resolved(centre))  # [B, D]
        x = _points_last((points - centre) / scale)  # [B, D, N]
        # Responsibilities [B, K, N]
        by_count = num_components or not (dim > _PLANE if count_modes is None else count_modes)
        share = (nearest if by_count else by_modes)(x.mT, count).mT.contiguous()
        # Expectation–maximisation on standardised points; then a wide component behind all others.
        for _ in range(iterations if share.shape[1] > 1 else 1):
            mixture = _maximise(x, share)
            distance, constant = mixture._distances(x)
            share = (constant - 0.5 * distance).softmax(1)
        return mixture._with_backdrop(_maximise(x, torch.ones_like(x[:, :1])))._scaled(centre, scale)

    def log_density(self, u: Tensor) -> Tensor:
        """log q(u), `[S, B]`, nats, at u `[S, B, D]`."""
        distance, constant = self._distances(_points_last(u))
        # With t = exp(−d/8): 0.9 exp(−d/2) + 0.1 c exp(−d/8) = t (0.9 t³ + 0.1 c), so two exponentials do for both.
        eighth = -0.5 / WIDTH**2 * distance
        height = constant + eighth
        top = height.amax(1, keepdim=True).clamp_min(-1e30)
        inner = (1 - WIDE_SHARE) * (3 * eighth).exp() + WIDE_SHARE / WIDTH ** u.shape[-1]
        return (((height - top).exp() * inner).sum(1).log() + top.squeeze(1)).T

    def sample(self, normal: Tensor, choice: Tensor, width: Tensor) -> Tensor:
        """Draws `[S, B, D]` from standard normals `[S, B, D]` and two uniforms `[S, B]`."""
        dim = normal.shape[-1]
        component = (choice.T.unsqueeze(1) > self.log_share.exp().cumsum(-1).unsqueeze(-1)).sum(1)  # [B, S]
        component = component.clamp(max=self.mean.shape[1] - 1)
        stretched = normal * torch.where(width < WIDE_SHARE, WIDTH, 1.0).to(normal).unsqueeze(-1)
        every = self.factor.flatten(1, 2) @ _points_last(stretched)  # [B, K D, S]
        every = every.unflatten(1, (-1, dim)) + self.mean.unsqueeze(-1)  # [B, K, D, S]
        index = component[:, None, None].expand(-1, 1, dim, -1)
        return every.gather(1, index).squeeze(1).permute(2, 0, 1)

    @property
    def num_components(self) -> Tensor:
        """How many components each datum has, the backdrop apart, `[B]`."""
        return (self.log_share > _NOTHING / 2).sum(-1) - 1

    def select(self, data: Tensor) -> "Mixture":
        """The mixtures of some of the data."""
        return Mixture(self.log_share[data], self.mean[data], self.factor[data], self.inverse[data])

    def _distances(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """|L⁻¹ (x − m)|² at x `[B, D, N]`, `[B, K, N]`, and log of share times density at the mean, `[B, K, 1]`."""
        dim = x.shape[1]
        centre = self.mean[:, :1]  # near which digits are kept: x and m may be large beside their difference
        centred = x - centre.mT
        origin = -self.inverse @ (self.mean - centre).unsqueeze(-1)  # [B, K, D, 1]
        distance = torch.zeros_like(x[:, :1])
        for d in range(dim):  # one coordinate at a time: all of them would not stay in the processor's cache
            whitened = torch.baddbmm(origin[:, :, d], self.inverse[:, :, d], centred)
            distance = torch.addcmul(distance, whitened, whitened)
        log_det = self.inverse.diagonal(dim1=-2, dim2=-1).log().sum(-1)  # [B, K]
        return distance, (self.log_share + log_det - 0.5 * dim * math.log(2 * math.pi)).unsqueeze(-1)

    def _with_backdrop(self, whole: "Mixture") -> "Mixture":
        """Add a component twice as wide as all points together, for arms that no component reaches."""
        log_share = [self.log_share + math.log(1 - _BACKDROP), whole.log_share + math.log(_BACKDROP)]
        return Mixture(
            torch.cat(log_share, 1),
            torch.cat([self.mean, whole.mean], 1),
            torch.cat([self.factor, WIDTH * whole.factor], 1),
            torch.cat([self.inverse, whole.inverse / WIDTH], 1),
        )

    def _scaled(self, centre: Tensor, scale: Tensor) -> "Mixture":
        """The mixture of centre + scale · x, with means and factors rounded and inverses to go with them."""
        stretch = scale.unsqueeze(1)  # [B, 1, D]
        mean = on_grid(centre.unsqueeze(1) + stretch * self.mean, stretch)
        factor = on_grid(stretch.unsqueeze(-1) * self.factor, stretch.unsqueeze(-1))
        return Mixture(self.log_share, mean, factor, _inverse(factor))


def _resolved(centre: Tensor) -> Tensor:
    """The least scale `[B, D]` about a centre whose thousandth draws there can have: narrower, they are not their own.

    A draw m + L n is rounded to the spacing of numbers near m; its density is that of where it should have been only
    while L is far wider than that.
    """
    limits = torch.finfo(centre.dtype)
    return (limits.eps / _RESOLUTION * centre.abs()).clamp_min(limits.tiny**0.25)


def _points_last(points: Tensor) -> Tensor:
    """Points `[N, B, D]` as `[B, D, N]`: sums over a few components are fast where the points lie in a row."""
    return points.permute(1, 2, 0).contiguous()


def _maximise(x: Tensor, share: Tensor) -> Mixture:
    """The M-step: shares, means and shrunk covariances from points `[B, D, N]` and responsibilities `[B, K, N]`."""
    dim = x.shape[1]
    there = share.sum(-1) > 0  # [B, K]: a datum may have fewer components than another
    weight = share.sum(-1) + 1e-6  # [B, K]
    mean = share @ x.mT / weight.unsqueeze(-1)
    moment = torch.stack([_second_moment(x - mean[:, k].unsqueeze(-1), share[:, k]) for k in range(share.shape[1])], 1)
    eye = torch.eye(dim, dtype=x.dtype, device=x.device)
    # What all components share, its correlations shrunk towards zero; then each component towards that.
    whole = weight.sum(-1)[:, None, None]
    pooled = moment.sum(1) / whole
    pooled = (1 - (dim + 1) / (whole + dim + 1) * (1 - eye)) * pooled
    shrink = ((dim + 1) / (weight + dim + 1))[..., None, None]
    covariance = (1 - shrink) * moment / weight[..., None, None] + shrink * pooled.unsqueeze(1)
    factor = torch.linalg.cholesky(covariance + (1e-3 + shrink * 0.1) * eye)
    portion = torch.where(there, (weight / weight.sum(-1, keepdim=True)).clamp_min(_LEAST_SHARE), 0.0)
    log_share = (portion / portion.sum(-1, keepdim=True)).log().clamp_min(_NOTHING)
    return Mixture(log_share, mean, factor, _inverse(factor))


def _inverse(factor: Tensor) -> Tensor:
    """L⁻¹ of Cholesky factors `[B, K, D, D]`."""
    eye = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device)
    return torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False).contiguous()  # by rows


def _second_moment(centred: Tensor, share: Tensor) -> Tensor:
    """Σ_n share_n c_n c_nᵀ of points `[B, D, N]`, `[B, D, D]`."""
    return (share.unsqueeze(1) * centred) @ centred.mT
