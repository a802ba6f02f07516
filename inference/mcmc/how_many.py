"""How many components a mixture needs: as many as the points show modes, by the Bayesian information criterion."""

import math

import torch
from torch import Tensor

MOST_MODES = 16

_MOST_POINTS = 512  # that the criterion looks at
_ITERATIONS = 6
_FEWEST = 2  # points for each coordinate of a component


def nearest(x: Tensor, count: int) -> Tensor:
    """Responsibilities `[B, N, K]` of the nearest of K centres, each the point farthest from those before (k-centre).

    So a small mode far from the others has a component of its own from the beginning.
    """
    return _one_hot(x, _centres(x, count))


def by_modes(x: Tensor, count: int) -> Tensor:
    """Responsibilities `[B, N, K]` of K components, K of each datum at least `count`, doubled while that is better.

    A mixture of Gaussians with one covariance has K (D + 1) parameters beside it; twice as many are better where
    −2 log likelihood + K (D + 1) log N is smaller (Schwarz 1978). Components that a datum does not have stand last,
    with no point. Each datum's number depends on its own points alone.
    """
    num_points, dim = x.shape[1:]
    few = x[:, :: -(-num_points // _MOST_POINTS)]
    centres, best = _fitted(few, count)
    size = torch.full((len(x),), count, device=x.device)
    data = torch.arange(len(x), device=x.device)
    while len(data) and 2 * count <= MOST_MODES and 2 * count * _FEWEST * dim <= few.shape[1]:
        count *= 2
        more, criterion = _fitted(few[data], count)
        better = criterion < best[data]
        data, more, criterion = data[better], more[better], criterion[better]
        best[data], size[data] = criterion, count
        if len(data):
            padded = torch.cat([centres, centres[:, :1].expand(-1, count - centres.shape[1], -1)], 1)
            centres = padded.index_copy(0, data, more)
    there = torch.arange(centres.shape[1], device=x.device) < size.unsqueeze(1)
    return _one_hot(x, centres, there)


def _fitted(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Means `[B, K, D]` of a mixture with one covariance, and its information criterion `[B]`."""
    num_points, dim = x.shape[1:]
    share = _one_hot(x, _centres(x, count))
    eye = torch.eye(dim, dtype=x.dtype, device=x.device)
    for _ in range(_ITERATIONS if count > 1 else 1):
        weight = share.sum(1) + 1e-6  # [B, K]
        mean = share.mT @ x / weight.unsqueeze(-1)
        square = x.mT @ x - (weight.unsqueeze(-1) * mean).mT @ mean
        factor, failed = torch.linalg.cholesky_ex(square / num_points + 1e-3 * eye)
        factor = torch.where((failed > 0)[:, None, None], eye, factor)  # points that are all one: rounding is left
        white, centre = (
            torch.linalg.solve_triangular(factor, t.mT, upper=False).mT for t in (x, mean)
        )  # [B, N, D], [B, K, D]
        distance = white.square().sum(-1, keepdim=True) - 2 * white @ centre.mT + centre.square().sum(-1).unsqueeze(1)
        log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        height = (weight / num_points).log().unsqueeze(1) - 0.5 * distance  # [B, N, K]
        share = height.softmax(-1)
    log_likelihood = height.logsumexp(-1).sum(1) - num_points * log_det
    return mean, -2 * log_likelihood + count * (dim + 1) * math.log(num_points)


def _centres(x: Tensor, count: int) -> Tensor:
    """K of the points `[B, N, D]`, `[B, K, D]`: the most central, then each time the one farthest from all before."""
    index = x.square().sum(-1).argmin(1)  # [B]
    chosen: list[Tensor] = []
    distance = torch.full_like(x[..., 0], torch.inf)
    for _ in range(count):
        chosen.append(x.gather(1, index[:, None, None].expand(-1, 1, x.shape[-1])))
        distance = torch.minimum(distance, (x - chosen[-1]).square().sum(-1))  # [B, N]
        index = distance.argmax(1)
    return torch.cat(chosen, 1)


def _one_hot(x: Tensor, centres: Tensor, there: Tensor | None = None) -> Tensor:
    """Responsibilities `[B, N, K]` of the nearest centre, among those that are `there` `[B, K]`."""
    distance = centres.square().sum(-1).unsqueeze(1) - 2 * x @ centres.mT  # but for |x|², [B, N, K]
    if there is not None:
        distance = distance.masked_fill(~there.unsqueeze(1), torch.inf)
    return torch.nn.functional.one_hot(distance.argmin(-1), centres.shape[1]).to(x)
