"""How many components a mixture needs: as many as the points show modes, by the Bayesian information criterion."""

import math

import torch
from torch import Tensor

from elbowroom.inference.mcmc.rounding import on_grid

MOST_MODES = 32

_MOST_POINTS = 256  # that the criterion looks at
_ITERATIONS = 4
_FEWEST = 2  # points for each coordinate of a component
_MANY = 8  # modes that are many
_PATIENCE = 2  # doublings in a row that may be in vain


def is_crowded(num_components: Tensor, num_points: int, dim: int) -> Tensor:
    """Whether points show 16 modes, or as many from eight on as can be told apart: there may well be others."""
    few = min(num_points, -(-num_points // -(-num_points // _MOST_POINTS)))
    more = 2 * num_components
    most = (more > MOST_MODES) | (more * _FEWEST * dim > few)
    return (most & (num_components >= _MANY)) | (num_components >= 2 * _MANY)


def nearest(x: Tensor, count: int) -> Tensor:
    """Responsibilities `[B, N, K]` of the nearest of K centres, each the point farthest from those before (k-centre).

    So a small mode far from the others has a component of its own from the beginning.
    """
    return _one_hot(x, _centres(x, count))


def by_modes(x: Tensor, count: int) -> Tensor:
    """Responsibilities `[B, N, K]` of K components, K of each datum at least `count`, doubled while that is better.

    A mixture of Gaussians with one covariance has K (D + 1) parameters beside it; the best K is that with the smallest
    −2 log likelihood + K (D + 1) log N (Schwarz 1978) until two doublings in a row were none better: four modes in a
    square look no better as two. Components that a datum does not have stand last, with no point. Each datum's number
    depends on its own points alone.
    """
    num_points, dim = x.shape[1:]
    few = x[:, :: -(-num_points // _MOST_POINTS)]
    centres, best = _fitted(few, count)
    size = torch.full((len(x),), count, device=x.device)
    data, in_vain = torch.arange(len(x), device=x.device), torch.zeros_like(size)
    while len(data) and 2 * count <= MOST_MODES and 2 * count * _FEWEST * dim <= few.shape[1]:
        count *= 2
        more, criterion = _fitted(few[data], count)
        better = criterion < best[data]
        won = data[better]
        best[won], size[won] = criterion[better], count
        centres = torch.cat([centres, centres[:, :1].expand(-1, count - centres.shape[1], -1)], 1)
        centres = centres.index_copy(0, won, more[better])
        in_vain[data] = torch.where(better, 0, in_vain[data] + 1)
        data = data[in_vain[data] < _PATIENCE]
    most = int(size.max())
    there = torch.arange(most, device=x.device) < size.unsqueeze(1)
    return _one_hot(x, centres[:, :most], there)


def _fitted(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Means `[B, K, D]` of a mixture with one covariance, and its information criterion `[B]`: the better of two fits.

    One begins with points far apart, which finds modes far from the others, the other with orthants, which finds modes
    that are apart in few of the coordinates.
    """
    if count == 1:
        return _expectation_maximisation(x, x.mean(1, keepdim=True), 1)
    both = torch.cat([_centres(x, count), _orthants(x, count)])
    means, criteria = (t.unflatten(0, (2, -1)) for t in _expectation_maximisation(torch.cat([x, x]), both, _ITERATIONS))
    better = criteria.argmin(0)  # [B]
    every = torch.arange(len(better), device=x.device)
    return means[better, every], criteria[better, every]


def _expectation_maximisation(x: Tensor, centres: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Means `[B, K, D]` of a mixture with one covariance, from centres `[B, K, D]` on, and its criterion `[B]`."""
    num_points, dim = x.shape[1:]
    share = _one_hot(x, centres).mT  # [B, K, N]: sums over components are fast where the points lie in a row
    eye = torch.eye(dim, dtype=x.dtype, device=x.device)
    whole = x.mT @ x
    for _ in range(iterations):
        weight = share.sum(-1) + 1e-6  # [B, K]
        mean = share @ x / weight.unsqueeze(-1)
        square = whole - (weight.unsqueeze(-1) * mean).mT @ mean
        factor, failed = torch.linalg.cholesky_ex(square / num_points + 1e-3 * eye)
        factor = torch.where((failed > 0)[:, None, None], eye, factor)  # points that are all one: rounding is left
        white, centre = (
            torch.linalg.solve_triangular(factor, t.mT, upper=False).mT for t in (x, mean)
        )  # [B, N, D], [B, K, D]
        distance = white.square().sum(-1).unsqueeze(1) - 2 * centre @ white.mT + centre.square().sum(-1, keepdim=True)
        height = (weight / num_points).log().unsqueeze(-1) - 0.5 * distance  # [B, K, N]
        share = height.softmax(1)
    log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_likelihood = height.logsumexp(1).sum(-1) - num_points * log_det
    return mean, -2 * log_likelihood + mean.shape[1] * (dim + 1) * math.log(num_points)


def _orthants(x: Tensor, count: int) -> Tensor:
    """Means `[B, K, D]` of the K fullest orthants about the mean, told by the coordinates with the shortest tails."""
    num_bits = min(math.ceil(math.log2(count)), x.shape[-1])
    kurtosis = on_grid(x.square().square().mean(1))  # of standardised points, [B, D]
    first = kurtosis.argsort(dim=-1, stable=True)[:, :num_bits]
    bits = (x.gather(2, first.unsqueeze(1).expand(-1, x.shape[1], -1)) > 0).long()
    code = (bits * 2 ** torch.arange(num_bits, device=x.device)).sum(-1)  # [B, N]
    inside = torch.nn.functional.one_hot(code, max(2**num_bits, count)).to(x)
    fullest = inside.sum(1).argsort(dim=-1, descending=True, stable=True)[:, :count]  # [B, K]
    inside = inside.gather(2, fullest.unsqueeze(1).expand(-1, x.shape[1], -1))
    return inside.mT @ x / (inside.sum(1) + 1e-6).unsqueeze(-1)


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
