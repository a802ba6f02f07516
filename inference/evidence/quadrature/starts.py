"""Where to look for the modes of a posterior: a scan of the prior's mass, and draws of prior and guide."""

import torch
from torch import Tensor

from elbowroom.inference.evaluation.at_points import at_points
from elbowroom.inference.evaluation.coordinates import Coordinates, log_joint

_SCAN = {1: 129, 2: 33, 3: 17}  # points along each axis of the scan
_FEWEST, _MOST = 8, 32  # maxima of the scan to start from
_BEYOND = 4.0  # standard deviations of the guide in place of one of a prior that cannot be drawn from
_DEPTH = 50.0  # nats below the highest point of the scan: a mode thinner than its mesh looks as low as that


def find_starts(coordinates: Coordinates, cells: int) -> tuple[Tensor, Tensor, bool]:
    """Where to start looking for modes `[K, B, D]`, the widest scale to believe in `[B, D]`, and whether it is blind.

    The local maxima of a scan over ±5 prior standard deviations, and the best draws of guide and prior. Where the prior
    cannot be drawn from, the scan is over ±20 standard deviations of the guide, and blind beyond.
    """
    target, dim = coordinates.target, coordinates.dim
    guide = coordinates.unconstrain(target.propose(256)[0]).double().cpu()
    try:
        prior, blind = coordinates.unconstrain(target.sample_prior(256)).double().cpu(), False
    except NotImplementedError:  # a prior that has a density but cannot be drawn from
        finite = guide.nan_to_num(0.0, 0.0, 0.0)
        middle = finite.median(0).values
        prior, blind = middle + _BEYOND * (finite - middle), True
    guide = torch.where(guide[:64].isfinite(), guide[:64], prior[:64])
    centre, sd = prior.median(0).values, prior.std(0).clamp_min(1e-12)
    axis = torch.linspace(-5, 5, _SCAN[dim], dtype=torch.float64)
    mesh = torch.stack(torch.meshgrid(*[axis] * dim, indexing="ij"), -1).reshape(-1, 1, dim)
    scan = centre + sd * mesh  # [G, B, D]
    values = _rectangle(coordinates, torch.cat([scan, prior[:64], guide]), cells)
    on_grid = values[: len(scan)]
    peaks = _local_maxima(on_grid, dim)
    best_prior = values[len(scan) : len(scan) + 64].argmax(0, keepdim=True)
    best_guide = values[len(scan) + 64 :].argmax(0, keepdim=True)
    starts = [
        pick(scan, peaks),
        pick(prior, best_prior),
        pick(guide, best_guide),
        guide.median(0, keepdim=True).values,
    ]
    return torch.cat(starts), sd, blind


def _rectangle(coordinates: Coordinates, u: Tensor, cells: int) -> Tensor:
    """The log joint on a full rectangle `[S, B, D]`, `[S, B]`, NaN as −∞."""
    num_samples, num_data = u.shape[:2]
    datum = torch.arange(num_data).repeat_interleave(num_samples)
    points = u.transpose(0, 1).reshape(-1, coordinates.dim)
    values = at_points(coordinates, log_joint, points, datum, cells).reshape(num_data, num_samples).T
    return values.nan_to_num(-torch.inf, posinf=-torch.inf)


def _local_maxima(values: Tensor, dim: int) -> Tensor:
    """Indices of the highest local maxima of each datum on the scan, `[K, B]`: at least 8, and up to 32 that are high.

    A datum with fewer high ones than another has its best again in their place, so that company adds nothing to it.
    """
    side = _SCAN[dim]
    grid = values.T.reshape(-1, 1, *(side,) * dim).clamp_min(-1e300)
    pool = {1: torch.nn.functional.max_pool1d, 2: torch.nn.functional.max_pool2d, 3: torch.nn.functional.max_pool3d}
    highest = pool[dim](grid, 3, stride=1, padding=1)
    peak = torch.where(grid >= highest, grid, -torch.inf).reshape(len(grid), -1)
    height, index = peak.topk(_MOST, dim=1)
    count = (height >= height[:, :1] - _DEPTH).sum(1, keepdim=True).clamp_min(_FEWEST)
    place = torch.arange(int(count.max()))
    return torch.where(place < count, index[:, : len(place)], index[:, :1]).T


def pick(points: Tensor, index: Tensor) -> Tensor:
    """The points `[K, B, D]` at `index` `[K, B]` of `points` `[S, B, D]`."""
    return points.gather(0, index.unsqueeze(-1).expand(*index.shape, points.shape[-1]))
