"""Uphill from many points at once, and how deep the valley between two points is."""

import torch
from torch import Tensor

from elbowroom.inference.evaluation.coordinates import Coordinates, log_joint
from elbowroom.inference.evaluation.recorded import log_joint_and_gradient

NUM_STEPS = 30
_ALONG = 9  # points between two ends at which the density is taken


def ascend(coordinates: Coordinates, starts: Tensor, scale: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """Gradient ascent on log p(x, T(u)) + log |det dT/du| from every start.

    Steps are taken in u / scale, no coordinate moves by more than one scale at a time, and none is taken that does not
    climb: a start stays in its own basin unless one step of its length leads higher up elsewhere. Without curvature it
    gets near a mode, not onto it.

    Args:
        coordinates: of B data.
        starts: u, `[K, B, D]`.
        scale: a length within one mode, `[B, D]`.
        cells: points evaluated at once.

    Returns:
        The points that were reached, `[K, B, D]`, and the log density there, `[K, B]`.
    """
    size = max(1, cells // (3 * starts.shape[1]))  # a gradient takes about three evaluations' memory
    ascents = [_ascend(coordinates, part, scale) for part in starts.split(size)]
    return torch.cat([u for u, _ in ascents]), torch.cat([value for _, value in ascents])


def valley(coordinates: Coordinates, one: Tensor, other: Tensor, cells: int) -> Tensor:
    """How far the log density falls below its lower end on the straight line between two points, `[K, B]`, nats.

    Zero or less along any line of a log-concave density, wherever its ends are.
    """
    size = max(1, cells // one.shape[1])
    return torch.cat([_valley(coordinates, a, b) for a, b in zip(one.split(size), other.split(size), strict=True)])


def _ascend(coordinates: Coordinates, u: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    value, gradient = _evaluate(coordinates, u)
    length = torch.ones_like(value)
    for _ in range(NUM_STEPS):
        step = (length.unsqueeze(-1) * gradient * scale).clamp(-1, 1) * scale
        new_value, new_gradient = _evaluate(coordinates, u + step)
        better = new_value > value
        u = torch.where(better.unsqueeze(-1), u + step, u)
        gradient = torch.where(better.unsqueeze(-1), new_gradient, gradient)
        value = torch.where(better, new_value, value)
        length = torch.where(better, length * 1.5, length * 0.3)
    return u, value


def _evaluate(coordinates: Coordinates, u: Tensor) -> tuple[Tensor, Tensor]:
    value, gradient = log_joint_and_gradient(coordinates, u.to(coordinates.target.device, coordinates.target.dtype))
    value = value.double().cpu().nan_to_num(-torch.inf, neginf=-torch.inf)
    return value, gradient.double().cpu().nan_to_num(0.0)


def _valley(coordinates: Coordinates, one: Tensor, other: Tensor) -> Tensor:
    def log_density(t: float) -> Tensor:
        u = (1 - t) * one + t * other
        with torch.no_grad():
            value = log_joint(coordinates, u.to(coordinates.target.device)).double().cpu()
        return value.nan_to_num(-torch.inf, neginf=-torch.inf)

    lowest = torch.stack([log_density((i + 1) / (_ALONG + 1)) for i in range(_ALONG)]).amin(0)
    return torch.minimum(log_density(0.0), log_density(1.0)) - lowest
